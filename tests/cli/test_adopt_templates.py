"""Templates are edited without touching anything else: comments, order, quotes."""

from __future__ import annotations

import json
import random

import pytest

from autopurge.adopt.templates import Change, Path, Template, TemplateError, changed_model, from_answer, substitute

YAML = """\
# A shop
Resources:
  # The app's images
  App:   # first
    Type: AWS::ECR::Repository   # native
    Properties:
      RepositoryName:   'app'

  # Who uses it
  User:
    Type: AWS::SSM::Parameter
    DependsOn: [App, Other]
    Properties:
      Code: |
        docker push ${App.RepositoryUri}

      # a comment in between
      Value: !Sub "x${App}${!App}"  # tail
      Arn: !GetAtt App.Arn
      List: !GetAtt [App, Arn]
      Long:
        Ref: App
      Join: !Join
        - ","
        - [a, !Ref App]
      Own: !Sub
        - "${App} ${Mine}"
        - {Mine: !Ref App}
  Other:
    Type: AWS::SNS::Topic
    DependsOn:
      - App
      - User
    Nothing:
  # The last one
  Flow: {Type: AWS::SNS::Topic, Properties: {TopicName: !Ref App}}
Outputs:
  Uri:
    Value: !GetAtt App.RepositoryUri
"""
VALUES = {
    ("App", ""): "app",
    ("App", "Arn"): "arn:aws:ecr:us-east-1:123456789012:repository/app",
    ("App", "RepositoryUri"): "123456789012.dkr.ecr.us-east-1.amazonaws.com/app",
}


def changed_lines(before: str, after: str) -> list[str]:
    """The lines that are not in the other text."""
    old, new = before.splitlines(), after.splitlines()
    return [f"-{line}" for line in old if line not in new] + [f"+{line}" for line in new if line not in old]


def test_entries_are_put_beside_the_type_and_nothing_else_changes() -> None:
    put = {
        ("Resources", "App", "Type"): "Other::Type::Name",
        ("Resources", "App", "DeletionPolicy"): "Retain",
        ("Resources", "App", "Metadata"): {"Marker": {"Was": "none"}},
        ("Resources", "App", "Properties", "EmptyOnDelete"): False,
    }
    after = Template(YAML).edited(Change(put)).text
    assert changed_lines(YAML, after) == [
        "-    Type: AWS::ECR::Repository   # native",
        "+    Type: Other::Type::Name   # native",
        "+    DeletionPolicy: Retain",
        "+    Metadata:",
        "+      Marker:",
        "+        Was: none",
        "+      EmptyOnDelete: false",
    ]


def test_a_resource_is_removed_and_what_refers_to_it_gets_its_values() -> None:
    gone = frozenset({("Resources", "App")})
    after = Template(YAML).edited(Change({}, gone, VALUES, frozenset({"App"})))
    properties = after.resources["User"]["Properties"]
    arn, uri = VALUES["App", "Arn"], VALUES["App", "RepositoryUri"]
    assert "App" not in after.resources
    assert properties["Value"] == {"Fn::Sub": "xapp${!App}"}
    assert (properties["Arn"], properties["List"], properties["Long"]) == (arn, arn, "app")
    assert properties["Own"] == {"Fn::Sub": ["app ${Mine}", {"Mine": "app"}]}
    assert properties["Code"] == "docker push ${App.RepositoryUri}\n"  # no Fn::Sub
    assert after.resources["User"]["DependsOn"] == ["Other"]
    assert after.resources["Other"]["DependsOn"] == ["User"]
    assert after.model["Outputs"]["Uri"]["Value"] == uri
    comments = [line for line in YAML.splitlines() if "#" in line and "App:" not in line and "native" not in line]
    assert [line for line in after.text.splitlines() if "# " in line] == [
        line.replace("${App}", "app", 1) for line in comments
    ]


def test_the_last_dependency_takes_the_key_along() -> None:
    text = "Resources:\n  A:\n    Type: T\n  B:\n    Type: T\n    DependsOn: A\n"
    after = Template(text).edited(Change({}, undepended=frozenset({"A"})))
    assert after.text == "Resources:\n  A:\n    Type: T\n  B:\n    Type: T\n"


def test_a_variable_of_its_own_is_no_reference() -> None:
    template = Template('Resources:\n  A:\n    Type: T\n    V: !Sub ["${App}", {App: x}]\n')
    assert list(template.references()) == []
    assert template.edited(Change(inlined=VALUES)).text == template.text
    assert substitute("${App} ${App.Arn}", VALUES, frozenset({"App"})) == "${App} " + VALUES["App", "Arn"]


def test_json_keeps_its_order() -> None:
    document = {"Resources": {"B": {"Type": "T", "V": {"Ref": "A"}}, "A": {"Type": "T", "X": 1, "C": True}}, "Z": 1}
    template = from_answer(document)
    after = json.loads(template.edited(Change({("Resources", "A", "Y"): 2}, inlined={("A", ""): "a"})).text)
    assert list(after) == ["Resources", "Z"]
    assert (
        json.dumps(after["Resources"])
        == '{"B": {"Type": "T", "V": "a"}, "A": {"Type": "T", "X": 1, "C": true, "Y": 2}}'
    )


def test_json_and_yaml_mean_the_same() -> None:
    same = Template('Resources:\n  A:\n    Type: T\n    V: !GetAtt B.Arn\n  B: {"Type": "T"}\n')
    assert same.same_as(
        from_answer({"Resources": {"A": {"Type": "T", "V": {"Fn::GetAtt": "B.Arn"}}, "B": {"Type": "T"}}})
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Resources:\n  A: &a {Type: T}\n  B: *a\n", "aliases"),
        ("Resources: [", "not valid YAML"),
        ("", "empty"),
        ("Parameters: {}\n", "no Resources"),
        ("Resources:\n  A: {Type: T}\n  A: {Type: T}\n", "twice"),
    ],
)
def test_a_template_that_can_not_be_read_is_named(text: str, why: str) -> None:
    with pytest.raises(TemplateError, match=why):
        _ = Template(text).model


def test_a_text_whose_edit_would_touch_something_else_is_refused() -> None:
    escaped = 'Resources:\n  A:\n    Type: T\n    V: !Sub "\\x24{App}"\n'
    assert list(Template(escaped).references()) == [(("Resources", "A", "V", "Fn::Sub"), ("App", ""))]
    with pytest.raises(TemplateError, match="can't be edited without touching"):
        Template(escaped).edited(Change(inlined=VALUES))


def test_random_templates_mean_after_an_edit_what_the_model_says() -> None:
    """Text and model are edited by different code; `edited` refuses where they differ."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    source = random.Random(seed)
    for _ in range(60):
        template = Template(random_template(source))
        names = list(template.resources)
        gone = frozenset(source.sample(names, source.randint(0, len(names) - 1)))
        values = {(each, ""): f"name-{each}" for each in gone} | {(each, "Arn"): f"arn:{each}" for each in gone}
        kept = [each for each in names if each not in gone]
        put: dict[Path, object] = {("Resources", each, "DeletionPolicy"): "Retain" for each in kept}
        change = Change(put, frozenset(("Resources", each) for each in gone), values, gone)
        after = template.edited(change)
        assert after.model == changed_model(template.model, change)
        assert {target for _, (target, _) in after.references()} <= set(kept)
        comments = [line.strip() for line in template.text.splitlines() if line.strip().startswith("# before")]
        assert [line.strip() for line in after.text.splitlines() if line.strip().startswith("# before")] == comments


def random_template(source: random.Random) -> str:
    names = [f"R{number}" for number in range(source.randint(2, 6))]
    lines = ["Resources:"]
    margin = " " * source.choice([1, 2, 4])
    for name in names:
        lines += [f"{margin}# before {name}", f"{margin}{name}:{source.choice(['', '  # here'])}"]
        inner = margin * 2
        body = [f"Type: Kind{source.choice(['', '  # kind'])}"]
        others = source.sample(names, 2)
        style = source.choice(["one", "flow", "block", "none"])
        if style == "one":
            body.append(f"DependsOn: {others[0]}")
        elif style == "flow":
            body.append(f"DependsOn: [{', '.join(others)}]")
        elif style == "block":
            body += ["DependsOn:", *(f"{source.choice(['', margin])}- {other}" for other in [others[0]])]
            body += [body[-1].replace(others[0], others[1])]
        body += ["Properties:", *(margin + line for line in random_properties(source, others))]
        if source.random() < 0.3:
            body.append("Empty:")
        lines += [inner + line for line in body]
        lines += source.choice([[], [""], ["", f"{inner}# before nothing"]])
    return "\n".join(lines) + source.choice(["", "\n", "\n\n"])


def random_properties(source: random.Random, names: list[str]) -> list[str]:
    one, two = names
    choices = [
        [f"A: !Ref {one}"],
        [f"B: !GetAtt {one}.Arn  # tail"],
        [f"C: !Sub '${{{one}}} and ${{{two}.Arn}} and ${{!{one}}}'"],
        ["D:", f"  Ref: {one}"],
        ["E: {Fn::GetAtt: [" + f"{one}, Arn]" + "}"],
        ["F: |", f"  ${{{one}}} is text", "", "  more"],
        ["G: !Sub |", f"  ${{{one}}} is a name", f"  ${{{two}}}"],
        ["H: !Join ['', [a, !Ref " + one + ", {Ref: " + two + "}]]"],
        ["I: !Sub", f"  - '${{X}} ${{{two}}}'", f"  - X: !Ref {one}"],
        ["J: \"quoted: '#' no comment\""],
    ]
    chosen = source.sample(choices, source.randint(1, 5))
    return [line for lines in chosen for line in lines]
