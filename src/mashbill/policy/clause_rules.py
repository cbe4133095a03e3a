"""How each use restriction is decided: one function a code, from the facts of a question.

Nothing here looks at lineage beyond how far away a student stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from mashbill.core.source import Channel
from mashbill.policy.case import EU, Case, Finding, Student
from mashbill.policy.clauses import Measure
from mashbill.policy.documents import own_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from mashbill.policy.clauses import Clause


def find(case: Case) -> Finding | None:
    """Return what a clause comes to at the strictest; None if it is about something else."""
    return next(iter(find_all(case)), None)


def find_all(case: Case) -> list[Finding]:
    """Return what a clause comes to, strictest first; nothing if it is about something else.

    A bar may come to several things, as each student stands differently to it: of each outcome
    the first student is told, direct ones before others.
    """
    if case.clause.code in _BARS:
        return _bars(case)
    found = _RULES[case.clause.code](case)
    return [] if found is None else [found]


def _permits(case: Case) -> Finding | None:
    students = case.question.students
    if case.clause.outputs not in ("all", "text"):
        return None
    if students and all(student.by_weights for student in students):
        return None
    return Finding("allow", case.clause.says)


def _bars(case: Case) -> list[Finding]:
    """Decide a bar on training for each student."""
    if case.clause.outputs not in ("all", "text"):
        return []  # about images, or search results: not what is learned from here
    if not case.question.students:
        return [_lifted(case, _without_students(case))]
    found: dict[str, Finding] = {}
    for student in case.question.students:
        if not student.by_weights:
            finding = _lifted(case, _about(case, student))
            found.setdefault(finding.outcome, finding)
    return [found[outcome] for outcome in ("deny", "review", "allow") if outcome in found]


def _lifted(case: Case, finding: Finding) -> Finding:
    """Return what a finding comes to if the provider has authorised the use.

    Where the clause names no such way, what was denied still wants somebody to read the letter.
    """
    by = {name.lower(): text for name, text in case.question.use.authorised_by.items()}
    if finding.outcome == "allow" or case.provider.lower() not in by:
        return finding
    text = by[case.provider.lower()]
    used = {**finding.used, "use.authorised_by": {case.provider: text}}
    because = f"authorised by {case.provider}: {text}"
    if case.clause.unless:
        return Finding("allow", because, used, path=finding.path)
    return Finding(
        "review",
        f"{because}, though the clause itself names no such way",
        used,
        ("whether the authorisation covers this",),
        finding.path,
    )


def _without_students(case: Case) -> Finding:
    if case.question.use.purpose == "evaluation":
        return Finding(
            "allow",
            "nothing is trained on it, and it is declared to be for evaluation",
            {"use.purpose": "evaluation"},
        )
    competes = case.question.use.competes_with
    about_rivals = case.clause.code == "no-competing-model" or (
        case.clause.scope == "competing-models"
    )
    if about_rivals and _is_no_rival(case):
        return Finding(
            "allow",
            f"declared not to compete with {case.rival_of}",
            {"use.competes_with": list(competes or ())},
        )
    return Finding(
        "review",
        f"{case.clause.says} Nothing is trained on it yet; what will be is not recorded",
        lacking=("which models will be trained on it",),
    )


def _about(case: Case, student: Student) -> Finding:
    path = student.path
    used: dict[str, Any] = {
        "student": student.name,
        "student kind": student.kind,
        "models between": student.hops - 1,
        "channels": sorted(student.channels) or ["content"],
    }
    scope = case.clause.scope or "any-model"
    if case.clause.code == "no-competing-model" and scope == "any-model":
        scope = "competing-models"
    outside = _outside(scope, case.clause.excepts, student)
    if outside:
        return Finding("allow", outside, used, path=path)
    competes = case.question.use.competes_with
    if scope == "competing-models" and competes is not None:
        used["use.competes_with"] = list(competes)
        if _is_no_rival(case):
            because = f"{student.name}: declared not to compete with {case.rival_of}"
            return Finding("allow", because, used, path=path)
    excepted = _excepted(case, student, used)
    if excepted is not None and excepted.outcome != "deny":
        return excepted
    note = f" ({excepted.because})" if excepted is not None else ""
    if scope == "competing-models" and not _is_rival(case):
        said = f"{case.clause.says} Whether {student.name} competes is not declared{note}"
        if case.question.unclear_rivals:
            names = ", ".join(case.question.unclear_rivals)
            said += f"; nobody here knows {names}, so that may be {case.rival_of} by another name"
        return Finding("review", said, used, ("use.competes_with",), path)
    if scope in ("language-models", "foundation-models") and student.kind == "other":
        return Finding("review", f"{case.clause.says} What kind of model {student.name} is, is not "
                       "recorded", used, ("kind of student",), path)  # fmt: skip
    reach = _reach(case.clause, student)
    if reach:
        return Finding("review", f"{case.clause.says} {reach}", used, (reach,), path)
    return Finding("deny", f"{case.clause.says}{note}", used, path=path)


def _is_rival(case: Case) -> bool:
    """Return whether it is declared that the result competes with whoever the clause means."""
    names = case.question.use.competes_with or ()
    return case.rival_of.lower() in {name.lower() for name in names}


def _is_no_rival(case: Case) -> bool:
    """Return whether it is declared that it does not; a name nobody knows may be anybody's."""
    declared = case.question.use.competes_with is not None and case.rival_of != "unknown"
    return declared and not case.question.unclear_rivals and not _is_rival(case)


def _outside(scope: str, excepts: tuple[str, ...], student: Student) -> str:
    """Return why a student is not meant by a bar of this scope; empty if it is, or may be."""
    names = tuple(name.lower() for name in excepts)
    if any(own_name(base).startswith(names) for base in student.bases if names):
        return f"{student.name} is built on the family that the clause leaves out"
    if scope in ("language-models", "foundation-models") and student.kind in (
        "classifier",
        "embedding",
    ):
        return f"the clause is about {scope.replace('-', ' ')}; {student.name} is a {student.kind}"
    return ""


def _reach(clause: Clause, student: Student) -> str:
    """Return what a clause leaves open about a student this far away; empty if nothing."""
    if student.hops > 1:
        return (
            f"Whether that reaches {student.name}, {student.hops - 1} "
            f"model{'s' if student.hops > 2 else ''} further on, the clause does not say"
        )
    if not student.on_outputs:
        how = " and ".join(sorted(student.channels))
        return f"Whether it means use for {how} alone, the clause does not say"
    if clause.code == "no-distillation" and student.channels == {Channel.JUDGEMENT}:
        return "Whether learning from its labels is distillation, the clause does not say"
    return ""


def _excepted(case: Case, student: Student, used: dict[str, Any]) -> Finding | None:
    """Return what an exception comes to for a student; deny says that it does not hold."""
    for exception in case.exceptions:
        if student.kind not in exception.students or student.hops > 1:
            continue
        used = {**used, "exception": exception.says}
        if not exception.while_private:
            return Finding(
                "allow", f"{student.name}: {exception.says}", used, (), student.path, exception
            )
        distributed = case.question.use.distributed
        if distributed is None:
            return Finding(
                "review",
                f"{exception.says} Whether {student.name} stays private is not declared",
                used,
                ("use.distribution",),
                student.path,
                exception,
            )
        used["use.distribution"] = case.question.use.distribution
        commercial = case.question.use.commercial
        if case.question.use.distribution == "service" and commercial is not True:
            return Finding(
                "review",
                f"{exception.says} Whether others use {student.name} commercially decides",
                {**used, "use.commercial": commercial},
                ("use.commercial",),
                student.path,
                exception,
            )
        if not distributed:
            return Finding("allow", f"{student.name} stays private: {exception.says}", used, (),
                           student.path, exception)  # fmt: skip
        return Finding("deny", f"the exception for a {student.kind} holds only while it is private",
                       used, path=student.path)  # fmt: skip
    return None


def _collects(case: Case) -> Finding | None:
    says = case.clause.says
    if case.clause.scope == "competing-models":
        if _is_no_rival(case):
            used = {"use.competes_with": list(case.question.use.competes_with or ())}
            return Finding("allow", f"declared not to compete with {case.rival_of}", used)
        if not _is_rival(case):
            said = f"{says} Whether what is made of them competes is not declared"
            return _lifted(case, Finding("review", said, lacking=("use.competes_with",)))
    if case.clause.means == "automated" and case.leave:  # it names the use itself
        return Finding("allow", f"on condition that outputs are not gathered so. {says}")
    if case.clause.means == "automated":
        said = f"{says} Whether the outputs were gathered so is not recorded"
        return _lifted(case, Finding("review", said, lacking=("how the outputs were gathered",)))
    return _lifted(case, Finding("deny", says))


def _non_commercial(case: Case) -> Finding | None:
    commercial = case.question.use.commercial
    if commercial is None:
        return Finding("review", case.clause.says, lacking=("use.commercial",))
    return Finding(
        "deny" if commercial else "allow", case.clause.says, {"use.commercial": commercial}
    )


_OPERATOR = {measure: f"use.operator.{measure.replace('-', '_')}" for measure in get_args(Measure)}
_OPERATOR["monthly-active-users"] = "use.operator.monthly_users"


def _scale_cap(case: Case) -> Finding | None:
    if case.clause.measure is None or case.clause.limit is None:
        return None
    fact = _OPERATOR[case.clause.measure]
    value = getattr(case.question.use.operator, fact.rsplit(".", 1)[-1])
    measure = case.clause.measure.replace("-", " ")
    if value is None:
        return Finding(
            "review",
            f"{case.clause.says} The operator's {measure} are not declared",
            lacking=(fact,),
        )
    over = value > case.clause.limit
    then = f": {case.clause.then}" if over and case.clause.then else ""
    return _lifted(
        case,
        Finding(
            "deny" if over else "allow",
            f"{value:,.0f} {measure}, the cap is {case.clause.limit:,.0f}{then}",
            {fact: value},
        ),
    )


def _field_of_use(case: Case) -> Finding | None:
    return Finding("allow", f"on condition: {case.clause.policy}. {case.clause.says}")


def _territory(case: Case) -> Finding | None:
    country = case.question.use.operator.country
    if country is None:
        return Finding("review", case.clause.says, lacking=("use.operator.country",))
    barred = country in case.clause.excludes or ("EU" in case.clause.excludes and country in EU)
    return Finding(
        "deny" if barred else "allow", case.clause.says, {"use.operator.country": country}
    )


def _upstream(case: Case) -> Finding | None:
    source = case.question.source
    if source.provider == "unknown":
        return Finding("review", case.clause.says, lacking=("who makes the model",))
    return Finding(
        "allow", f"{case.clause.says} The terms of {source.provider} are decided beside this"
    )


def _silent(case: Case) -> Finding | None:
    return Finding("review", case.clause.says, lacking=("clause on outputs",))


_BARS = frozenset({"no-competing-model", "no-training", "no-distillation"})
_RULES: dict[str, Callable[[Case], Finding | None]] = {
    "outputs-may-train": _permits,
    "distillation-allowed": _permits,
    "no-systematic-collection": _collects,
    "non-commercial": _non_commercial,
    "scale-cap": _scale_cap,
    "field-of-use": _field_of_use,
    "territory": _territory,
    "upstream-terms": _upstream,
    "no-clause-found": _silent,
}
