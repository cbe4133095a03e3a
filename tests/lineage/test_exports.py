"""Every export of every artifact, read by its standard's own validator, says what the bill says."""

import contextlib
import copy
import hashlib
import io
import json
import re
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.schema._res import BOM_JSON
from huggingface_hub import DatasetCard, ModelCard
from openlineage.client import event_v2, facet_v2
from openlineage.client.serde import Serde
from prov.model import ProvDocument
from spdx_python_model.bindings import v3_0_1

from mashbill import Channel, InputError, Source, Store
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.bills.definitions import judge_all
from mashbill.lineage.bills.text import percent
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.exports import FORMATS, eu_2_5, export, gather, licences
from mashbill.lineage.exports import card as card_format
from mashbill.lineage.exports import croissant as croissant_format
from mashbill.lineage.exports import cyclonedx as cyclonedx_format
from mashbill.lineage.exports import spdx as spdx_format
from mashbill.lineage.exports.bill_file import bill_text
from mashbill.lineage.exports.steps import Taken
from mashbill.policy.licences import identifiers


def strictly(version):
    """Return a validator; its module builds grammars for seconds, so it is loaded here."""
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(version)


CYCLONEDX = {"cyclonedx-1.6": SchemaVersion.V1_6, "cyclonedx-1.7": SchemaVersion.V1_7}


@pytest.fixture(scope="session")
def store(finished):
    return Store(finished[0])


def expected(store, manifest):
    """(source, channels, share, depth) of every line of the bill, in no order."""
    return sorted(
        (line.source.title, sorted(c.value for c in line.channels), *line.share, line.depth)
        for line in bill(NodeTable.of(store, manifest))
    )


def parsed(store, name, kind):
    return json.loads(export(store, store.find(name), kind))


def named(properties):
    """CycloneDX's and SPDX's name and value pairs as a dictionary, with values as JSON."""
    pairs = {}
    for item in properties:
        name = item.get("name", item.get("extension_cdxPropName"))
        value = item.get("value", item.get("extension_cdxPropValue"))
        try:
            pairs[name.removeprefix("mashbill:")] = json.loads(value)
        except json.JSONDecodeError:
            pairs[name.removeprefix("mashbill:")] = value
    return pairs


def told(facts, title):
    return (
        title,
        sorted(facts["channels"]),
        facts["share_low"],
        facts["share_high"],
        facts["depth"],
    )


def test_the_same_store_gives_the_same_bytes(finished):
    first, second = Store(finished[0]), Store(finished[0])
    for manifest in first.manifests():
        accounts = gather(first, manifest), gather(second, manifest)
        for name, exporter in FORMATS.items():
            if manifest.kind in exporter.kinds:
                one, other = (exporter.write(account) for account in accounts)
                assert one == other, name
                assert one.endswith("\n")


def test_a_format_that_is_not_there_or_does_not_fit_is_told_with_those_that_do(store):
    with pytest.raises(InputError, match=r"no export format 'sbom'.*cyclonedx.*croissant"):
        export(store, store.find("confident"), "sbom")
    with pytest.raises(InputError, match=r"Croissant.*model; for it there are (?!.*croissant)"):
        export(store, store.find("scratch"), "croissant")


@pytest.mark.parametrize("version", CYCLONEDX)
def test_cyclonedx_is_valid_and_has_the_bill(store, version):
    validator = strictly(CYCLONEDX[version])
    for manifest in store.manifests():
        text = export(store, manifest, version)
        assert validator.validate_str(text) is None
        subject = json.loads(text)["metadata"]["component"]
        lines = []
        for ancestor in subject["pedigree"]["ancestors"]:
            facts = named(ancestor.get("properties", []))
            title = f"{ancestor['name']} {ancestor.get('version', '')}".strip()
            numbers = {key.split(":")[1] for key in facts if key.startswith("line:")}
            for number in numbers:
                prefix = f"line:{number}:"
                line = {k.removeprefix(prefix): v for k, v in facts.items() if prefix in k}
                lines.append(told(line, title))
        assert sorted(lines) == expected(store, manifest)


def test_cyclonedx_verdicts_and_files_are_those_of_the_store(store):
    manifest = store.find("scratch")
    subject = parsed(store, "scratch", "cyclonedx-1.6")["metadata"]["component"]
    facts = named(subject["properties"])
    for pair in judge_all(NodeTable.of(store, manifest)):
        for verdict in pair:
            key = f"verdict:{verdict.definition.name}:{verdict.asked}"
            assert facts[key] == verdict.conclusion
            assert facts.get(f"{key}:depth") == verdict.depth
    hashes = {part["name"]: part["hashes"][0]["content"] for part in subject["components"]}
    assert hashes == {item.file: item.sha256 for item in (*manifest.files, manifest.nodes)}


@pytest.mark.parametrize("version", CYCLONEDX)
def test_cyclonedx_refs_all_lead_somewhere(store, version):
    for manifest in store.manifests():
        document = parsed(store, str(manifest.ref), version)
        defined, used = [], []

        def walk(value, defined=defined, used=used):
            if isinstance(value, list):
                for item in value:
                    walk(item)
            elif isinstance(value, dict):
                defined.append(value.get("bom-ref"))
                used.append(value.get("ref"))
                used.extend(value.get("dependsOn", []))
                used += [value.get("attributedTo"), value.get("process")]
                for item in value.values():
                    walk(item)

        walk(document)
        names = [name for name in defined if name]
        assert len(names) == len(set(names))
        assert {name for name in used if name} <= set(names)


def test_cyclonedx_tasks_follow_the_tasks_that_made_their_inputs(store):
    document = parsed(store, "scratch", "cyclonedx")
    (workflow,) = document["formulation"][0]["workflows"]
    maker = {task["outputs"][0]["resource"]["ref"]: task for task in workflow["tasks"]}
    after = {item["ref"]: set(item["dependsOn"]) for item in workflow["taskDependencies"]}
    for task in workflow["tasks"]:
        taken = {item["resource"]["ref"] for item in task["inputs"] if "resource" in item}
        assert after[task["bom-ref"]] == {maker[ref]["bom-ref"] for ref in taken if ref in maker}


def test_a_first_step_takes_the_sources_that_it_brings_in_and_a_label_step_its_teacher(store):
    steps = {step.manifest.name: step for step in gather(store, store.find("scratch")).steps}
    assert [(t.role, t.channel, t.name) for t in steps["corpus"].taken] == [
        ("source", "content", "toy texts")
    ]
    assert [(t.role, t.channel, t.name) for t in steps["labelled"].taken] == [
        ("rows", "content", "first@1"),
        ("teacher", "judgement", "fake teacher"),
    ]
    assert steps["labelled"].taken[1].id.startswith("urn:mashbill:source:")


def test_cyclonedx_citations_point_at_what_is_there(store):
    document = parsed(store, "scratch", "cyclonedx")
    (citation,) = document["citations"]
    for pointer in citation["pointers"]:
        value = document
        for part in pointer.split("/")[1:]:
            value = value[part]
        assert value
    document["citations"][0].pop("timestamp")
    assert strictly(SchemaVersion.V1_7).validate_str(json.dumps(document)) is not None


def test_prov_reads_back_the_same_and_has_the_bill(store):
    for manifest in store.manifests():
        text = export(store, manifest, "prov")
        document = ProvDocument.deserialize(content=text, format="json")
        again = document.serialize(format="json")
        assert ProvDocument.deserialize(content=again, format="json") == document
        raw = json.loads(text)
        mine = f"mashbill:artifact:{manifest.ref}:{manifest.digest}"
        lines = [
            told(
                {key.removeprefix("mashbill:"): value for key, value in record.items()},
                raw["entity"][record["prov:usedEntity"]]["prov:label"],
            )
            for record in raw["wasDerivedFrom"].values()
            if "mashbill:depth" in record and record["prov:generatedEntity"] == mine
        ]
        assert sorted(lines) == expected(store, manifest)
        things = {*raw["entity"], *raw["activity"], *raw["agent"]}
        for kind in ("used", "wasGeneratedBy", "wasDerivedFrom", "wasAssociatedWith"):
            for record in raw.get(kind, {}).values():
                ends = ("prov:entity", "prov:activity", "prov:agent", "prov:usedEntity")
                assert {record[key] for key in ends if key in record} <= things


@pytest.fixture(scope="session")
def croissant_reader():
    with warnings.catch_warnings():
        # mlcroissant calls what pandas and rdflib have deprecated.
        warnings.simplefilter("ignore")
        import mlcroissant

        yield mlcroissant


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_croissant_is_valid_and_its_records_are_those_of_the_store(
    store, croissant_reader, tmp_path
):
    for manifest in store.manifests():
        if manifest.kind != "dataset":
            continue
        folder = tmp_path / str(manifest.ref)
        shutil.copytree(store.folder("dataset", manifest.ref), folder)
        path = folder / "croissant.json"
        path.write_text(export(store, manifest, "croissant"), encoding="utf-8")
        read = croissant_reader.Dataset(jsonld=path)
        assert not read.metadata.ctx.issues.errors
        assert read.metadata.ctx.conforms_to.value == croissant_format.CONFORMS_TO
        records = list(read.records("records"))
        assert len(records) == manifest.rows
        columns = [
            name
            for name, kind in gather(store, manifest).columns
            if not name.startswith("_") and croissant_format._field_type(kind)
        ]
        assert {key.removeprefix("records/") for key in records[0]} == set(columns)
        if "text" in columns:
            texts = store.dataset(manifest.ref).column("text").to_pylist()
            assert [record["records/text"].decode() for record in records] == texts


def test_croissant_has_the_bill_and_the_digests_of_the_shards(store):
    manifest = store.find("confident")
    document = parsed(store, "confident", "croissant")
    lines = [
        told({k.removeprefix("mashbill:"): v for k, v in line.items()}, entity["name"])
        for entity in document["prov:wasDerivedFrom"]
        for line in entity["mashbill:line"]
    ]
    assert sorted(lines) == expected(store, manifest)
    shards = {part["@id"]: part.get("sha256") for part in document["distribution"]}
    assert {shard.file: shard.sha256 for shard in manifest.shards}.items() <= shards.items()
    for folder in store.folder("dataset", manifest.ref).glob("part-*.parquet"):
        assert folder.name in shards


@pytest.mark.parametrize(
    ("arrow", "kind"),
    [
        ("string", "sc:Text"),
        ("int64", "sc:Integer"),
        ("double", "sc:Float"),
        ("list<element: string>", "sc:Text"),
        ("large_list<item: float not null>", "sc:Float"),
        ("timestamp[ms, tz=UTC]", "sc:DateTime"),
        ("fixed_size_binary[16]", None),
        ("struct<a: string>", None),
    ],
)
def test_croissant_types(arrow, kind):
    assert croissant_format._field_type(arrow) == kind
    assert croissant_format._is_list(arrow) == ("list<" in arrow)


def test_the_card_of_a_model_says_what_the_bill_says(store):
    manifest = store.find("scratch")
    text = export(store, manifest, "card")
    card = ModelCard(text)
    block = card.data.to_dict()["x-mashbill"]
    whole = bill_text(gather(store, manifest))
    assert block["bill"] == "bill.json"
    assert block["sha256"] == hashlib.sha256(whole.encode()).hexdigest()
    lines = [
        (Source.model_validate(line["source"]).title, sorted(line["channels"]), *line["share"],
         line["depth"])
        for line in json.loads(whole)["bill"]
    ]  # fmt: skip
    assert sorted(lines) == expected(store, manifest)
    assert card.data.license == "unknown"  # no stage of the chain says the model's own licence
    assert card.data.base_model is None
    assert card.data.tags == ["mashbill", "distillation"]
    section = text.split("## Is it distilled?")[1].split("\n## ")[0]
    told_of = [line for line in section.splitlines() if line.startswith("* ")]
    assert len(told_of) == len(judge_all(NodeTable.of(store, manifest)))
    assert "classifier@1 by judgement" in text
    assert "mashbill audit" in text


HEADINGS = ["How to use it", "Evaluation", "Is it distilled?", "Limits", "Check it"]


@pytest.mark.parametrize("name", ["scratch", "classifier", "confident", "corpus"])
def test_a_card_is_text_first_with_a_short_front_matter(store, name):
    text = export(store, store.find(name), "card")
    front = text.split("\n---\n")[0]
    assert len(front) < 800
    assert len(front) < len(text) / 3
    heads = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert [head for head in heads if head in HEADINGS] == HEADINGS
    assert heads[1] in ("Training data", "Where the data come from")
    keys = [line.split(":")[0] for line in front.splitlines() if re.match(r"[a-z-]", line)]
    order = ["license", "library_name", "pipeline_tag", "base_model", "datasets", "pretty_name",
             "size_categories", "configs", "tags", "x-mashbill"]  # fmt: skip
    assert [key for key in order if key in keys] == [key for key in keys if key in order]


def test_a_card_has_what_evaluations_measured(store):
    text = export(store, store.find("classifier"), "card")
    evaluated = text.split("## Evaluation")[1].split("\n## ")[0]
    [manifest] = [m for m in store.manifests() if "systems" in m.measures]
    for system, score in manifest.measures["systems"].items():
        assert f"| {system} | {score['accuracy']:.3f} |" in evaluated
    assert "No evaluation" in export(store, store.find("evaluation"), "card") or manifest.name


def test_what_a_card_says_of_its_use_works(store, tmp_path):
    text = export(store, store.find("classifier"), "card")
    code = text.split("```python\n")[1].split("```")[0]
    folder = store.folder("model", store.find("classifier").ref)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code.replace("path/to/this/folder", str(folder)), {})  # noqa: S102 - our own text
    assert re.search(r"\('\w+', '\w+'.*\) \[\[[\d. ]+\]\]", out.getvalue())


def test_the_card_of_a_dataset_names_what_machines_did(store):
    card = DatasetCard(export(store, store.find("confident"), "card"))
    data = card.data.to_dict()
    assert data["annotations_creators"] == ["machine-generated"]
    assert "language_creators" not in data
    assert data["size_categories"] == ["n<1K"]
    (config,) = data["configs"]
    assert config.pop("description").startswith("confident@1, ")
    assert config == {"config_name": "default", "data_files": "part-*.parquet"}
    corpus = DatasetCard(export(store, store.find("corpus"), "card")).data.to_dict()
    assert corpus["license"] == "cc0-1.0"
    assert "annotations_creators" not in corpus


def model_source(name, **fields):
    return Source(name=name, what="model", kind="open-weights", route="weights", **fields)


def table_of(members, nodes=()):
    """A model's table: (via, source or body, tokens) of each member."""
    table = NodeTable()
    for body in nodes:
        table.add(body)
    rows = []
    for how, thing, tokens in members:
        node = table.add_source(thing) if isinstance(thing, Source) else table.add(thing)
        rows.append([how, node, tokens])
    table.root = table.add({"type": "model", "artifact": "m@1", "files": "f", "members": rows})
    return table


def account_of(store, table, **stage):
    """The account of scratch, had its lineage been this table and its stage these literals."""
    real = gather(store, store.find("scratch"))
    leaves = {
        f"urn:mashbill:source:{node}": Source.model_validate(
            {key: value for key, value in body.items() if key != "type"}
        )
        for node, body in table.bodies.items()
        if body["type"] == "source"
    }
    manifest = real.manifest.model_copy(
        update={"tokens": 1000, "stage": {**real.manifest.stage, **stage}}
    )
    step = replace(real.steps[-1], manifest=manifest)
    return replace(
        real,
        manifest=manifest,
        table=table,
        lines=tuple(bill(table)),
        verdicts=tuple(judge_all(table)),
        steps=(*real.steps[:-1], step),
        sources=real.sources | leaves,
    )


def test_a_card_names_bases_by_the_hubs_rules(store):
    table = table_of([
        ("weights", model_source("owner/base-1b"), None),
        ("weights", model_source("a name with spaces"), None),
        ("content", model_source("owner/teacher"), 1000),
        ("content", Source(name="owner/set", what="dataset", kind="public-dataset", route="f"), 9),
    ])  # fmt: skip
    account = account_of(store, table, license="LicenseRef-Mine")
    data = ModelCard(card_format.write(account)).data
    assert data.base_model == ["owner/base-1b"]
    assert data.to_dict()["base_model_relation"] == "finetune"
    assert data.datasets == ["owner/set"]
    assert (data.license, data.license_name) == ("other", "licenseref-mine")


@pytest.mark.parametrize(
    ("kind", "bases", "relation"),
    [("sft", 1, "finetune"), ("average", 2, "merge"), ("quantize", 1, "quantized")],
)
def test_a_card_tells_the_relation_to_its_bases(store, kind, bases, relation):
    sources = [model_source(f"base-{i}") for i in range(bases)]
    table = table_of(
        [
            *(("weights", source, None) for source in sources),
            ("content", model_source("teacher"), 10),
        ]
    )
    account = account_of(store, table, kind=kind)
    taken = tuple(Taken("base", "weights", f"urn:b{i}", f"b{i}", None) for i in range(bases))
    steps = (*account.steps[:-1], replace(account.step, taken=taken))
    data = ModelCard(card_format.write(replace(account, steps=steps))).data
    assert data.base_model == [source.name for source in sources]
    assert data.to_dict()["base_model_relation"] == relation


def test_facts_that_no_lineage_holds_are_told_with_the_definition_that_asks_for_them(store):
    account = gather(store, store.find("scratch"))
    asked = {need for pair in account.verdicts for need in pair[0].definition.needs}
    assert asked
    assert not any(text.startswith(tuple(asked)) for text in account.unknown)
    facet = parsed(store, "scratch", "openlineage")[-1]["outputs"][0]["facets"]["mashbill_bill"]
    assert {need for verdict in facet["verdicts"] for need in verdict["needs"]} == asked


def test_a_card_survives_names_that_yaml_could_misread(store):
    name = 'a: "quoted" | piped\n- # \x85\u2028 title'
    account = account_of(store, table_of([("content", model_source(name), 10)]))
    assert ModelCard(card_format.write(account)).data.to_dict()["x-mashbill"]["format"] == 2
    assert [line["source"]["name"] for line in json.loads(bill_text(account))["bill"]] == [name]


def rows_of(text, heading):
    """The rows of the table under a heading of the EU text, as lists of cells."""
    section = text.split(f"## {heading}")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


def test_eu_names_the_providers_own_model_and_the_one_behind_it(store):
    text = export(store, store.find("scratch"), "eu-2.5")
    manifest = store.find("scratch")
    own = rows_of(text, "The provider's own models")
    assert [row[0] for row in own] == ["classifier@1"]
    assert own[0][3:5] == ["judgement", "1"]
    assert own[0][5] == own[0][6] == f"{manifest.tokens:,} (100%)"
    market = rows_of(text, "Models available on the market")
    assert {row[0] for row in market} == {"fake teacher (a test double, no model)"}
    assert {row[4] for row in market} == {"2"}


def test_eu_weighs_by_tokens_and_gives_both_readings(store):
    made = [model_source(name) for name in ("writer", "cleaner", "checker", "base", "picker")]
    writer, cleaner, checker, base, picker = made
    human = Source(name="texts", what="dataset", kind="public-dataset", route="file")
    table = table_of(
        [
            ("content", writer, 600),
            ("content", human, 100),
            ("transform/cleaning", cleaner, 100),
            ("judgement/verifying", checker, 150),
            ("selection", picker, 50),
            ("weights", base, None),
        ]
    )
    text = eu_2_5.write(account_of(store, table))
    market = {row[0]: row[5:7] for row in rows_of(text, "Models available on the market")}
    assert market["writer"] == ["600 (60%)"] * 2
    assert market["checker"] == ["-", "150 (15%)"]
    assert set(market) == {"writer", "checker"}
    left = text.split("## Left out")[1].split("\n## ")[0]
    assert "* cleaner, transform, depth 1: 100 (10%)\n" in left
    assert "* base, weights, depth 1: weights, which are no tokens\n" in left
    assert {
        name for name in ("cleaner", "base", "picker", "writer", "checker") if name in left
    } == {
        "cleaner",
        "base",
        "picker",
    }
    assert "verifiers not counted | yes: writer |" in text
    assert "verifiers counted | yes: checker, writer |" in text
    verdict = next(pair[1] for pair in judge_all(table) if pair[1].definition.name == "EU-2.5")
    low, high = map(percent, verdict.share)
    assert f"From any model: yes, directly, in {low} to {high} of the words." in text


def test_eu_takes_the_depth_of_the_way_that_counts(store):
    teacher = model_source("teacher")
    behind = table_of([("content", teacher, 10)])
    table = table_of([("transform/cleaning", teacher, 400)])
    table.absorb(behind)
    members = table.bodies[table.root]["members"]
    table.root = table.add({
        "type": "model", "artifact": "n@1", "files": "f",
        "members": [*members, ["transform", behind.root, 600]],
    })  # fmt: skip
    text = eu_2_5.write(account_of(store, table))
    (row,) = rows_of(text, "Models available on the market")
    assert (row[0], row[4], row[6]) == ("teacher", "2", "600 (60%)")
    assert "verifiers counted | yes: m@1 |" in text


def test_openlineage_is_what_its_own_classes_write(store):
    for manifest in store.manifests():
        events = json.loads(export(store, manifest, "openlineage"))
        assert len({event["run"]["runId"] for event in events}) == len(events)
        for event in events:
            built = event_v2.RunEvent(
                eventTime=event["eventTime"],
                producer=event["producer"],
                eventType=event_v2.RunState[event["eventType"]],
                run=event_v2.Run(**event["run"]),
                job=event_v2.Job(**event["job"]),
                inputs=[event_v2.InputDataset(**item) for item in event["inputs"]],
                outputs=[event_v2.OutputDataset(**item) for item in event["outputs"]],
            )
            assert Serde.to_dict(built) == Serde.to_dict(copy.deepcopy(event))


STATISTICS = facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet
KNOWN_FACETS = {
    "processing_engine": facet_v2.processing_engine_run.ProcessingEngineRunFacet,
    "jobType": facet_v2.job_type_job.JobTypeJobFacet,
    "version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet,
    "outputStatistics": STATISTICS,
}


def test_openlineage_facets_are_theirs_or_carry_a_producer_and_a_schema(store):
    seen = set()
    for event in parsed(store, "confident", "openlineage"):
        things = [event["run"], event["job"], *event["inputs"], *event["outputs"]]
        for thing in things:
            for key in ("facets", "inputFacets", "outputFacets"):
                for name, facet in thing.get(key, {}).items():
                    seen.add(name)
                    if name in KNOWN_FACETS:
                        fields = {k: v for k, v in facet.items() if not k.startswith("_")}
                        built = KNOWN_FACETS[name](**fields, producer=facet["_producer"])
                        assert Serde.to_dict(built) == facet
                    else:
                        assert name == "schema" or name.startswith("mashbill_")
                        assert facet["_schemaURL"]
                        assert facet["_producer"]
    assert set(KNOWN_FACETS) | {"schema", "mashbill_bill", "mashbill_use"} <= seen


def test_openlineage_has_the_bill_on_the_last_output(store):
    events = parsed(store, "scratch", "openlineage")
    facet = events[-1]["outputs"][0]["facets"]["mashbill_bill"]
    manifest = store.find("scratch")
    assert [{k: v for k, v in line.items() if k != "id"} for line in facet["bill"]] == [
        json.loads(json.dumps(line.as_json())) for line in bill(NodeTable.of(store, manifest))
    ]
    commits = [entry for entry in store.ledger.entries if entry.event == "commit"]
    times = {entry.predicate["artifact"]: entry.predicate["at"] for entry in commits}
    made = [event["outputs"][0]["name"] for event in events]
    assert [event["eventTime"] for event in events] == [times[name] for name in made]
    earlier = set()
    for event in events:  # each step comes after what it took in
        names = {item["name"] for item in event["inputs"] if item["namespace"] == "mashbill"}
        assert names <= earlier
        earlier.add(event["outputs"][0]["name"])
    schema = parsed(store, "confident", "openlineage")[-1]["outputs"][0]["facets"]["schema"]
    built = facet_v2.schema_dataset.SchemaDatasetFacet(
        fields=[facet_v2.schema_dataset.SchemaDatasetFacetFields(**f) for f in schema["fields"]]
    )
    assert Serde.to_dict(built)["_schemaURL"] == schema["_schemaURL"]


def spdx_read(document):
    found = v3_0_1.SHACLObjectSet()
    v3_0_1.JSONLDDeserializer().deserialize_data(document, found)
    return found


def test_spdx_reads_back_with_no_loose_ends_and_has_the_bill(store):
    for manifest in store.manifests():
        document = parsed(store, str(manifest.ref), "spdx")
        found = spdx_read(document)
        assert not found.missing_ids
        # Writing checks that what each class requires is there.
        v3_0_1.JSONLDSerializer().write(found, io.BytesIO())
        packages = {
            item._id: item
            for kind in ("ai_AIPackage", "dataset_DatasetPackage")
            for item in found.foreach_type(kind)
        }
        lines = []
        for relation in found.foreach_type("Relationship"):
            facts = named(
                {"name": pair.extension_cdxPropName, "value": pair.extension_cdxPropValue}
                for extension in relation.extension
                for pair in extension.extension_cdxProperty
            )
            if "depth" in facts:
                assert relation.relationshipType.endswith("/descendantOf")
                source = packages[relation.to[0]._id]
                version = source.software_packageVersion or ""
                lines.append(told(facts, f"{source.name} {version}".strip()))
        assert sorted(lines) == expected(store, manifest)


def test_spdx_says_what_was_trained_on_what(store):
    found = spdx_read(parsed(store, "scratch", "spdx"))
    trained = {
        (relation.from_.name, relation.to[0].name)
        for relation in found.foreach_type("Relationship")
        if relation.relationshipType.endswith("/trainedOn")
    }
    assert trained == {("classifier", "labelled"), ("scratch", "confident")}


def test_spdxs_own_checks_would_find_a_fault(store):
    document = parsed(store, "confident", "spdx")
    package = next(e for e in document["@graph"] if e["type"] == "dataset_DatasetPackage")
    package.pop("dataset_datasetType")
    with pytest.raises(ValueError, match="datasetType"):
        v3_0_1.JSONLDSerializer().write(spdx_read(document), io.BytesIO())
    document = parsed(store, "confident", "spdx")
    document["@graph"] = [
        e for e in document["@graph"] if not e.get("spdxId", "").startswith("urn:mashbill:tool")
    ]
    assert spdx_read(document).missing_ids


@pytest.mark.parametrize(
    ("text", "identifier", "expression", "on_the_hub"),
    [
        ("MIT", "MIT", "MIT", "mit"),
        ("apache-2.0", "Apache-2.0", "Apache-2.0", "apache-2.0"),
        ("ODC-By-1.0", "ODC-By-1.0", "ODC-By-1.0", "odc-by"),
        ("LicenseRef-Gemma terms", None, "LicenseRef-Gemma-terms", None),
        ("gemma", None, "LicenseRef-gemma", "gemma"),
        ("LGPL-2.1", "LGPL-2.1", "LGPL-2.1", "lgpl-2.1"),
        ("gpl-1.0+", "GPL-1.0+", "GPL-1.0+", None),
        ("isc AND", None, "LicenseRef-isc-AND", None),
        ("ISC AND of ours", None, "LicenseRef-ISC-AND-of-ours", None),
    ],
)
def test_a_licence_has_the_identifier_of_each_list_or_its_name(
    store, text, identifier, expression, on_the_hub
):
    assert licences.spdx(text) == identifier
    assert licences.spdx_expression(text) == expression
    assert licences.hub(text) == on_the_hub
    account = account_of(store, table_of([("content", model_source("t", license=text), 10)]))
    written = cyclonedx_format.write_1_6(account)
    assert strictly(SchemaVersion.V1_6).validate_str(written) is None
    assert f'"{"id" if identifier else "name"}": "{identifier or text}"' in written
    found = spdx_read(json.loads(spdx_format.write(account)))
    assert not found.missing_ids
    assert expression in {
        item.simplelicensing_licenseExpression
        for item in found.foreach_type("simplelicensing_LicenseExpression")
    }


def licences_of(account):
    """Every licence that is written of an account: by SPDX, CycloneDX 1.6 and 1.7, the others."""
    found = spdx_read(json.loads(spdx_format.write(account)))
    assert not found.missing_ids
    for write, version in (
        (cyclonedx_format.write_1_6, SchemaVersion.V1_6),
        (cyclonedx_format.write_1_7, SchemaVersion.V1_7),
    ):
        written = write(account)
        assert strictly(version).validate_str(written) is None
    ancestors = json.loads(written)["metadata"]["component"]["pedigree"]["ancestors"]
    [ancestor] = [item for item in ancestors if item["name"] == "t"]
    [derived] = json.loads(croissant_format.write(account))["prov:wasDerivedFrom"]
    expressions = [
        item.simplelicensing_licenseExpression
        for item in found.foreach_type("simplelicensing_LicenseExpression")
        if item.simplelicensing_licenseExpression != "CC0-1.0"  # the store's own corpus
    ]
    texts = [
        item.simplelicensing_licenseText
        for item in found.foreach_type("simplelicensing_SimpleLicensingText")
    ]
    return expressions, sorted(texts), ancestor.get("licenses"), derived.get("license")


@pytest.mark.parametrize(
    ("text", "expression", "references"),
    [
        ("ISC and 0BSD", "ISC AND 0BSD", []),
        ("(bsl-1.0 OR zlib)", "BSL-1.0 OR Zlib", []),
        ("(ISC OR Zlib) AND cc0-1.0", "(ISC OR Zlib) AND CC0-1.0", []),
        ("lgpl-3.0-only WITH lgpl-3.0-linking-exception",
         "LGPL-3.0-only WITH LGPL-3.0-linking-exception", []),
        ("MPL-1.1+", "MPL-1.1+", []),
        ("agpl-3.0-or-later AND LicenseRef-house", "AGPL-3.0-or-later AND LicenseRef-house",
         ["LicenseRef-house"]),
        ("documentref-d:LicenseRef-a", "DocumentRef-d:LicenseRef-a", []),
    ],
)  # fmt: skip
def test_an_expression_of_licences_stands_as_one(store, text, expression, references):
    account = account_of(store, table_of([("content", model_source("t", license=text), 10)]))
    assert licences_of(account) == (
        [expression],
        references,
        [{"expression": expression}],
        expression,
    )


@pytest.mark.parametrize(
    "text", ["NoAssertion", "none", "n/a", " ", "UNKNOWN", "null", "No License"]
)
def test_what_says_that_there_is_no_licence_is_none_of_any_standard(store, text):
    account = account_of(store, table_of([("content", model_source("t", license=text), 10)]))
    assert licences_of(account) == ([], [], [], None)
    assert any("licence" in line for line in account.unknown)


def test_every_spdx_identifier_is_one_of_the_list_that_cyclonedx_ships():
    path = Path(str(BOM_JSON[SchemaVersion.V1_6])).with_name("spdx.SNAPSHOT.schema.json")
    known = json.loads(path.read_text(encoding="utf-8"))["enum"]
    assert set(identifiers().values()) <= set(known)


def test_what_is_unknown_is_told_by_every_format(store):
    dark = Source(name="old dump", what="unknown", kind="unknown", route="file")
    account = account_of(
        store, table_of([("content", dark, 400), ("content", model_source("t"), 600)])
    )
    assert any("old dump" in text for text in account.unknown)
    for name, exporter in FORMATS.items():
        if "model" in exporter.kinds:
            assert "old dump" in exporter.write(account), name
    assert Channel.CONTENT in {channel for line in account.lines for channel in line.channels}
