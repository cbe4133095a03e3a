import pytest

from mashbill import RecipeError, load_recipe

CASES = [
    ("seed = 7", 'seed = "x"', r"toy.toml: recipe.seed = 'x'"),
    ("keep_top = 0.5", "keep_top = 1.5", r"stages.confident.keep_top = 1.5"),
    (
        "keep_top = 0.5",
        "keep_tpo = 0.5",
        r"keep_tpo = 0.5 is an unknown key; did you mean 'keep_top'",
    ),
    (
        'model = "classifier"',
        'model = "clasifier"',
        r"uses 'clasifier', .*did you mean 'classifier'",
    ),
    (
        'kind = "filter"',
        'kind = "filtre"',
        r"stages.confident.kind 'filtre' is not one of .*filter",
    ),
    ('teacher = "fake"', 'teacher = "fkae"', r"uses 'fkae', which is no \[teachers"),
    ('prompt = "toy.txt"', 'prompt = "no.txt"', r"needs the file 'no.txt' beside the recipe"),
    ('"toy.jsonl"', '"none.jsonl"', r"needs the file 'none.jsonl' beside the recipe"),
    ("[stages.first]", "[stage.first]", r"key 'stage' is unknown"),
    ("range = [0.0, 0.3]", "range = [0.5, 0.3]", r"must rise within 0 to 1"),
    ("width = 32", "width = 33", r"heads = 4 must divide width = 33"),
    ("[recipe]", "[recipe", r"not valid TOML"),
    ('result = "scratch"', 'result = "nothing"', r"recipe.result = 'nothing' is not a stage"),
    ('[["teacher", "scratch"]]', '[["teacher", "x"]]', r"compare names 'x'"),
]


@pytest.mark.parametrize(("old", "new", "message"), CASES)
def test_an_error_names_file_key_value_and_remedy(recipe_file, old, new, message):
    recipe_file.write_text(recipe_file.read_text().replace(old, new, 1))
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(recipe_file)
    assert "toy.toml" in str(caught.value)


def test_a_recipe_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RecipeError, match="no such recipe"):
        load_recipe(tmp_path / "none.toml")


def test_the_shipped_recipe_is_read():
    from mashbill.workspace.recipes import recipe_path

    recipe = load_recipe(recipe_path("grey_area"))
    assert recipe.result == "scratch"
    assert next(iter(recipe.stages)) == "corpus"
