"""The checks as rules of cfn-lint: ``cfn-lint --append-rules autopurge.check.cfn_lint -- template.yaml``.

cfn-lint knows no types outside ``AWS::``. The option ``--registry-schemas`` makes a type known, but its properties are
still not checked. This module makes the type known, and checks its properties. cfn-lint imports it by its name, so both
have to be installed in one environment: ``pip install 'autopurge[cfn-lint]'``.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from cfnlint.rules import CloudFormationLintRule, RuleMatch
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from cfnlint.template import Template

from .problems import ATTRIBUTES, POLICIES, PROPERTIES, TITLES
from .schema import schema
from .template import problems_in


def _make_type_known() -> None:
    """Without this, cfn-lint says that the type does not exist. It takes a folder that holds schemas only."""
    with tempfile.TemporaryDirectory(prefix="autopurge-") as folder:
        (Path(folder) / "schema.json").write_text(json.dumps(schema()), encoding="utf-8")
        PROVIDER_SCHEMA_MANAGER.load_registry_schemas(folder)


_make_type_known()


class _Checks:
    """The problems of one kind. It is not a CloudFormationLintRule, because cfn-lint would load it as a rule."""

    id = ""
    source_url = "https://github.com/awstut-an-r/awstut-ecr-autopurgerepository/blob/main/guides/command-line.md"
    tags = ["resources", "ecr", "autopurge"]
    description = "What CloudFormation, or the handlers, would only say in a deployment"

    def match(self, cfn: Template) -> list[RuleMatch]:
        """The problems, at their paths."""
        found = [each for each in problems_in(cfn.template) if each.rule == self.id]
        return [RuleMatch(list(each.path), each.message) for each in found]


class PropertiesRule(_Checks, CloudFormationLintRule):  # type: ignore[misc]
    """Unknown properties, values that are not allowed, combinations that are refused."""

    id = PROPERTIES
    shortdesc = TITLES[PROPERTIES]


class AttributesRule(_Checks, CloudFormationLintRule):  # type: ignore[misc]
    """Attributes that do not exist, and a type name with a typo."""

    id = ATTRIBUTES
    shortdesc = TITLES[ATTRIBUTES]


class PoliciesRule(_Checks, CloudFormationLintRule):  # type: ignore[misc]
    """Policies that surprise."""

    id = POLICIES
    shortdesc = TITLES[POLICIES]
