"""Nobody reads a stranger's file but through core/parsing.py, and every reader is fuzzed.

Both lists below are of exceptions, each with its reason. A new reader is put into
tests/fuzz/readers.py; a new function that reads bytes of our own, into the list of its kind.
"""

import ast
from functools import cache
from pathlib import Path

from fuzz.readers import READERS
from tests_tables import table

import mashbill

SOURCE = Path(mashbill.__file__).parent
PARSES = {
    "tomllib": {"load", "loads"}, "json": {"load", "loads", "JSONDecoder"}, "orjson": {"loads"},
    "yaml": {"load", "safe_load", "load_all", "full_load", "unsafe_load"},
    "pickle": {"load", "loads"}, "json_repair": {"load", "loads", "from_file"},
}  # fmt: skip
OF_PATTERNS = frozenset({"compile", "search", "match", "fullmatch", "sub", "finditer", "findall"})
OPENS = frozenset({"open", "read_text", "read_bytes"})
OF_ITS_OWN = "bytes that this program wrote, and that nobody hands over"
OF_THE_JOURNAL = "columns of the journal, read within what tells a damaged one (calls/journal.py)"
OF_A_SERVICE = "the answer of a service: bounded, and refused, where it comes in (the client)"
OF_THE_CLIENT = "a batch's answer, bounded by the client that fetched it"
OF_THE_KIT = "unpickles what it pickled itself a line before"
MAY_PARSE = {
    "core.parsing": "the place itself",
    "workspace.bumped": "a recipe that was read before, and what was made of it, to compare both",
    "workspace.kinds": "its own examples, which lie in the package",
    "core.plain_toml": "the place itself, for TOML",
    "core.installed": "of installed packages: where this one came from (PEP 610), and its own sources",
    "core.faults": "fuzzed; a damaged one is told by other checks",
    "files.index_pages": "fuzzed; a page, refused where it comes in",
    "verifiers.code.warm": "what the warm process says, which never runs foreign code",
    "verifiers.code.answering": "inside of the sandbox: what the host sends; it runs foreign code",
    "verifiers.code.guest": "inside of the sandbox: what the host sends",
    "policy.apart": "what its own worker says, and the worker's reading of what we say",
    "train.process_worker": "what the trainer that started it says",
    "train.processes": "what the first of its own processes says",
    "train.token_file": "its own note in the stage's scratch, which is removed with it",
    "core.curves": "lines of its own scratch; a torn one ends them",
    "models.byte_spans": "what the tokenizers library writes of a tokenizer that it loaded",
    "models.tokenizer_identity": "what the tokenizers library writes of a tokenizer that it loaded",
    "core.chat": OF_THE_JOURNAL,
    "core.schema": OF_THE_JOURNAL,
    "calls.paid_call": OF_THE_JOURNAL,
    "calls.access": OF_THE_JOURNAL,
    "calls.asked_here": OF_THE_JOURNAL,
    "calls.journal": OF_THE_JOURNAL,
    "calls.runs": OF_THE_JOURNAL,
    "calls.upkeep": OF_THE_JOURNAL,
    "conduct.logs.lines": "fuzzed; a line of a log: whatever it is, it is read or refused with its place",
    "conduct.scan.state": "a place in a log that this program wrote into its own state",
    "conduct.statement": "details of events that this program or the record checked holds",
    "conduct.gateway.reading": "a request or an answer: whatever it is, it is read or passed on unread",
    "client.batch_calls": OF_A_SERVICE,
    "client.batch_lane": OF_THE_CLIENT,
    "teachers.format": OF_A_SERVICE,
    "teachers.token_scoring": OF_A_SERVICE,
    "client.wire.batching": OF_A_SERVICE,
    "client.wire.anthropic": OF_A_SERVICE,
    "client.wire.reading": OF_A_SERVICE,
    "client.wire.bodies": OF_A_SERVICE,
    "client.wire.events": OF_A_SERVICE,
    "teachers.fake_service": OF_ITS_OWN,
    "teachers.fake": OF_ITS_OWN,
    "teachers.vllm_engine": OF_ITS_OWN,
    "models.chat_template": OF_ITS_OWN,
    "stages.writing.work": OF_ITS_OWN,
    "run.asking_again": OF_THE_JOURNAL,
    "run.handed": OF_THE_KIT,
    "verifiers.instructions.ifeval": "an answer: whatever it is, it is read or scored 0",
    "verifiers.instructions.spec": "a cell: whatever it is, it is read or the row is undecided",
    "verifiers.grounding": "an answer: whatever it is, it is read or scored 0",
    "verifiers.exact": "an answer: whatever it is, it is read or scored 0",
    "verifiers.reasoning_gym.allowed": "the list that comes with the package",
    "verifiers.kept_apart": "what its own worker says, and the worker's reading of what we say",
    "verifiers.environment.rubrics": "a field of a task that a cell held",
    "verifiers.environment.spec": "a cell: whatever it is, it is a task or the row is undecided",
    "verifiers.reasoning_gym.spec": "a cell: whatever it is, it is a task or the row is undecided",
    "verifiers.reasoning_gym.trying": "what it wrote itself the moment before",
    "verifiers.reasoning_gym.worker": "what its parent says, which read it before",
    "run.tracker": "what the run that started it writes",
    "run.worker": "the line that the run that started it writes: where it listens",
    "testing.laws": OF_THE_KIT,
    "testing.stages": OF_THE_KIT,
    "testing.trainers": OF_THE_KIT,
    "models.chat_filling": "what its own worker says",
    "models.chat_worker": "what its parent says: it imports nothing of ours",
    "files.rows.cells": "cells that this program wrote as JSON, into its own spill",
    "files.rows.json_rows": "fuzzed; a row: whatever it is, it is read or a rejected row",
    "files.rows.tars": "fuzzed; a number of digits alone, bounded",
    "prompts.schema": "an answer: whatever it is, it is read or a rejected row",
    "cli.journal": "a teacher's identity in the journal",
    "stages.marks.answers": "a teacher's identity in the journal",
    "stages.marks.named_in": "a cell: whatever it is, it is looked into or passed over",
    "stages.marks.row_licences": "a cell: whatever it is, it is looked into or passed over",
    "stages.marks.columns": "a cell: whatever it is, it is looked into or passed over",
    "stages.marks.texts": "a cell: whatever it is, it is looked into or passed over",
    "report.brief.calls": OF_THE_JOURNAL,
    "lineage.whatif.lead": "the table that comes with the package",
}
"""module -> why it may parse by itself"""
MAY_OPEN = {
    "workspace.kinds:_examples": "its own examples, which lie in the package",
    "workspace.first_documents:_is_utf8": "in pieces, of which nothing is kept but whether they are",
    "workspace.rows_written:_csv": "opened to write",
    "workspace.rows_written:_jsonl": "opened to write",
    "workspace.space:bump": "a recipe that was read before",
    "conduct.events:key_of": "64 digits, of a file of less than 1 KB, or refused; tested",
    "conduct.scan.deriving:derive": "a case that was read by conduct.evidence.case before, as bytes",
    "conduct.scan.office:publish": "its own case, compared with what it would write",
    "conduct.simulate.simulating:simulate": "opened to write, and refused where it is there",
    "models.products:is_faster_elsewhere": "the kernel's own numbers",
    "evals.suites.environments:run": "what a suite says, to be written",
    "evals.suites.environments:_last": "the end of that, shown as a text",
    "core.threads:usable_cores": "the kernel's own numbers",
    "models.logit_cache:_unpack": "flat files in the stage's scratch, to be written",
    "train.aligned_rows:aligned_rows": "our own scratch",
    "train.aligned_rows:keep": "our own scratch",
    "train.examples:_read": "our own scratch",
    "train.examples:examples": "our own scratch",
    "verifiers.code.bare:__init__": "the package's own program for the sandbox",
    "verifiers.code.bubblewrap:_started": "the package's own program for the sandbox",
    "verifiers.code.answering:_as_main": "files in the sandbox",
    "verifiers.code.inside:text_of_guest": "files of this package",
    "verifiers.code.bare:_memory_ran_out": "the kernel's own numbers",
    "train.durable:keep": "a checkpoint, to be written",
    "train.prompts:_encode": "token ids, to be written",
    "train.scratch_tokenizer:taken": "copied; read by plain_tokenizer, which is fuzzed",
    "train.scratch_tokenizer:trained": "a tokenizer that it wrote itself",
    "train.token_file:_opened": "token ids, to be written",
    "train.token_file:_state": "its own note in the stage's scratch",
    "verifiers.code.guest:_clock": "the kernel's own numbers",
    "verifiers.code.guest:_own_ids": "the kernel's own files, to be written",
    "verifiers.code.spec:load": "opens a sandbox, and no file",
    "testing.sandboxes:check_sandbox": "the same",
    "core.registry:_code": "code of an installed plugin, to digest",
    "models.folder:template_of": "which files there are; what is in them is read by fuzzed readers",
    "verifiers.environment.spec:_examples": "read by core/parsing.py; its lines are, or are told",
    "verifiers.reasoning_gym.allowed:listed": "the list that comes with the package",
    "workspace.audited:audit": "a checkpoint, for its reader",
    "core.installed:_direct_url": "what an installer wrote of this package (PEP 610)",
    "core.installed:_is_ours": "the pyproject.toml of the folder that it was installed from",
    "core.ledger:_read": "the user's own key",
    "core.curves:resume": "lines of its own scratch; a torn one ends them",
    "core.curves:_lines": "lines of its own scratch; a torn one ends them",
    "core.curves:_append": "it writes",
    "lineage.evidence.leftovers:strange_beside": "a file's first bytes to compare; nothing is parsed",
    "lineage.circuit.nodes:committed_nodes": "bytes to digest; only those that were committed are read",
    "stages.marks.beside:_see_file": "bytes to look for words in; core/parsing.py reads what has them",
    "stages.marks.prompt_words:_words": "a prompt's first bytes as text; nothing is parsed",
    "core.canonical:digest_file": "bytes to digest; nothing is parsed",
    "core.ledger:append": "the ledger that this program writes",
    "core.ledger:default": "the user's own key",
    "core.store:lock": "a lock",
    "core.store:_whole": "a lock",
    "core.store:publish": OF_ITS_OWN,
    "policy.claim_rows:write_rows": "it writes",
    "policy.importers.adding:_write": "it writes",
    "policy.keeping:code_of": "this package's own text, to digest",
    "policy.sealed:_data": "it writes",
    "policy.sealed:_digest": "bytes to digest; what does not hold is not read",
    "publish.rows:_writer": "it writes",
    "publish.forms:write_form": "it writes, from a shard whose digest was checked",
    "calls.upkeep:export": "it writes",
    "files.listing:_kept": "a list that this program wrote into its cache",
    "files.hub_repository:is_same": "bytes to compare",
    "files.remote:is_same": "bytes to compare",
    "files.hub_cards:_card": "a card's bytes, which the reader of cards reads",
    "files.web:download": "it writes",
    "files.web:_asked": "a request, no file",
    "lineage.evidence.comparing:compared": "bytes to digest, and to give to readers that are fuzzed",
    "lineage.evidence.moment:_holds": "bytes to digest",
    "core.store:is_held": "a lock",
    "lineage.evidence.moment:_settled": "the ledger's bytes, for its reader",
    "lineage.evidence.moment:later": "the ledger's bytes, for its reader",
    "lineage.whatif.lead:shipped": "the table that comes with the package",
    "stages.marks.beside:_see_folder": "read by core/parsing.py; what cannot be read is no mark",
    "policy.importers.adding_columns:_write": "it writes",
    "policy.importers.card_block:_beside": "read by core/parsing.py, once its digest is the card's",
    "files.rows.same:__init__": "it writes",
    "files.rows.merged:add": "it writes",
    "files.rows.near:__init__": "what it wrote itself, in scratch",
    "files.rows.near:add": "it writes",
    "files.rows.near:_divide": "it writes",
    "files.rows.near:settle": "it writes",
    "files.rows.vectors:__init__": "what it wrote itself, in scratch",
    "lineage.evidence.proof:prove": "a manifest of a store, whose digest is in the ledger",
    "lineage.whatif.rebuild:write_rebuild": "bytes to compare",
    "run.permission:prompt_findings": "a prompt that the recipe's reader has read",
    "prompts.schema:_model_of": "Python that is executed, as is documented",
    "models.chat_template:__init__": OF_ITS_OWN,
    "conduct.text.scoring:load": "weights of the package: bounded, and of the digest of their manifest",
}
"""module:function -> why it may open a file"""
FORMS = {
    "'|'.join(sorted(WRITERS | MAY_BE))",
    "_BEARER + '[A-Za-z0-9._~+/=-]{8,}'",
    "'|'.join(anywhere)",
    "'|'.join(in_errors)",
}
"""patterns that client/scrubbing.py writes, letter by letter, of keys"""


@cache
def _modules():
    return tuple(
        (
            ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"),
            ast.parse(path.read_text("utf-8")),
        )
        for path in sorted(SOURCE.rglob("*.py"))
        # programs beside recipes made their data, lie in the wheel with them, and are run by hand
        if path.relative_to(SOURCE).parts[0] != "recipes"
    )


def _calls(tree, function=""):
    """Yield (name of the function it stands in, call)."""
    for node in ast.iter_child_nodes(tree):
        inside = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if isinstance(node, ast.Call):
            yield inside, node
        yield from _calls(node, inside)


def _is_parsing(call):
    target = call.func
    return (
        isinstance(target, ast.Attribute)
        and isinstance(target.value, ast.Name)
        and target.attr in PARSES.get(target.value.id, ())
    ) or (isinstance(target, ast.Attribute) and target.attr == "model_validate_json")


def test_nobody_parses_by_themselves():
    found = {name for name, tree in _modules() if any(_is_parsing(c) for _, c in _calls(tree))}
    assert found - MAY_PARSE.keys() == set(), "read it by core/parsing.py, or say here why not"
    # The list does not outlive its reasons; what others are rewriting may be gone already.
    assert {"core.parsing", "core.plain_toml", "prompts.schema"} <= found


def test_parsers_are_not_imported_by_name():
    for name, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in PARSES:
                named = {each.name for each in node.names} & PARSES[node.module]
                assert not named, f"{name} imports {named}; import the module"


def test_no_pattern_that_is_not_our_own_goes_to_re():
    for name, tree in _modules():
        if name in {"core.patterns", "models.chat_template", "models.hidden_marks"}:
            continue  # the place itself, and marks that are escaped
        for function, call in _calls(tree):
            target = call.func
            if not (
                isinstance(target, ast.Attribute)
                and isinstance(target.value, ast.Name)
                and target.value.id == "re"
                and target.attr in OF_PATTERNS
            ):
                continue
            pattern = call.args[0]
            own = isinstance(pattern, ast.Constant | ast.JoinedStr) or (
                isinstance(pattern, ast.Name | ast.Attribute | ast.BinOp | ast.Call)
                and ast.unparse(pattern) in {"pattern", "HUB_ID", "maker.pattern", "FORMULA"} | FORMS
                and name in {"cli.show_import", "client.prompt_lint", "client.scrubbing",
                             "teachers.continuing", "teachers.cures", "lineage.exports.card", "lineage.exports.croissant",
                             "policy.importers.dpi"}
            )  # fmt: skip
            assert own, f"{name}:{function}: re.{target.attr}({ast.unparse(pattern)})"


def test_every_function_that_opens_a_file_is_fuzzed_or_says_why_not():
    known = {function for reader in READERS for function in reader.functions} | MAY_OPEN.keys()
    opening = set()
    for name, tree in _modules():
        for function, call in _calls(tree):
            target = call.func
            called = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
            own = isinstance(target, ast.Attribute) and ast.unparse(target.value) in {
                "resources", "os", "gzip", "tarfile", "self._stream",
            }  # fmt: skip
            if called in OPENS and not own:
                opening.add(f"{name}:{function}")
    unknown = sorted(opening - known)
    assert not unknown, f"put {unknown} into tests/fuzz/readers.py, or into MAY_OPEN with a reason"


@table("reader", READERS, ids=lambda reader: reader.name)
def test_a_reader_of_the_table_is_there(reader):
    for named in reader.functions:
        module, function = named.split(":")
        tree = dict(_modules())[module]
        names = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
        assert function in names, f"{named} is gone; correct the table"
