"""Part of setting up for the tests: fetch the teacher's file, since tests have no network."""

from mashbill import load_recipe
from mashbill.core.cache import default_cache
from mashbill.workspace.recipes import recipe_path

if __name__ == "__main__":
    recipe = load_recipe(recipe_path("grey_area"))
    recipe.teachers["smollm2"].gguf(recipe.folder, default_cache())
