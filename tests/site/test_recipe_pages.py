"""The recipe on the pages: commands with their output, key lines, how to call them, the whole file."""

from __future__ import annotations

import ast
import html
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from greentactics.cli.main import main
from greentactics.evidence.wording import stored_line
from greentactics.site.pages import render_site
from greentactics.site.tactic_page import highlighted, key_lines, usage
from greentactics.text.escaping import listing_to_html
from tests.examples.records import DARK, PRUNING, REAL, RECIPE_TEXT, ROOT, SPARSITY, catalogue
from tests.examples.synthetic import results

RECIPES = sorted(REAL.recipes)
PAGES = render_site(REAL, {})
CALLED = """
from recipes.common import pruning
from recipes.common.models import Net
LIMIT = 3
unrelated = inputs = LIMIT
def _half():
    return pruning, LIMIT
# --8<-- [start:tactic]
def cut(net: Net, inputs, share=0.5, *, seed):
    return _inner(net)
def _inner(net):
    return net, _half()
def unused():
    pass
# --8<-- [end:tactic]
def run():
    for seed in range(3):
        later = partial(cut, seed=seed)
        return cut(
            net, seed=seed,
        )
"""


def visible(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


def output_on_page(identifier: str) -> list[str]:
    (found,) = re.findall(r'<pre class="gt-output"[^>]*><samp>(.*?)</samp>', page(identifier), re.DOTALL)
    return visible(found).splitlines()


def page(identifier: str) -> str:
    return PAGES[f"tactics/{identifier}/index.md"]


@pytest.mark.parametrize("identifier", RECIPES)
def test_the_output_on_the_page_is_what_the_commands_print(identifier, tmp_path) -> None:
    arguments = ["--root", str(ROOT), "verdict", identifier, "--results", str(tmp_path)]
    said = CliRunner().invoke(main, arguments)
    assert said.exit_code == 0
    shown = output_on_page(identifier)
    printed = said.output.splitlines()
    assert shown[-len(printed) :] == printed
    runs = sorted(REAL.results.get(identifier, ()), key=lambda entry: (entry.device_slug, entry.preset))
    folder = Path("recipes", "results", identifier)
    stored = [stored_line(folder / f"{entry.device_slug}.json", entry) for entry in runs[:1]]
    assert all((ROOT / line.partition(":")[0]).is_file() for line in stored)
    assert shown[: -len(printed)] == stored


def test_results_of_this_machine_are_in_the_output_too() -> None:
    made = catalogue(PRUNING, results={PRUNING.id: (results(),)})
    files = render_site(made, {PRUNING.id: (results(dirty=True),)})
    text = files[f"tactics/{PRUNING.id}/index.md"]
    stored = f"<samp>recipes/results/{PRUNING.id}/example-processor-9000.json: 20 repeats, Fashion-MNIST\n"
    assert stored in text
    assert text.count("\npublished: modelled energy 7.4x lower") == 1
    assert text.count("\nthis machine: modelled energy 7.4x lower") == 1


@pytest.mark.parametrize("identifier", RECIPES)
def test_a_page_names_the_data_that_have_to_be_fetched(identifier) -> None:
    text = REAL.recipes[identifier].text
    named = set(re.findall(r"greentactics data\s+fetch\s+(\w+)", text))
    if re.search(r"load_images|_fashion", text):
        named.add("fashion-mnist")
    needs = re.search(r"It needs PyTorch.*?</p>", page(identifier), re.DOTALL)
    assert needs
    told = set(re.findall(r"<code>greentactics data fetch ([\w-]+)</code>", needs[0]))
    assert told == named
    assert ("no GPU and no data" in needs[0]) == (not named)


@pytest.mark.parametrize("identifier", RECIPES)
def test_a_reader_leaves_with_commands_that_exist_and_the_tactic(identifier) -> None:
    text = page(identifier)
    commands = re.findall(r"^greentactics (\w+) ([\w-]+)(?: --(?:preset|seeds) (\w+))?$", text, re.MULTILINE)
    seeds = {str(len(entry.seeds)) for entry in REAL.results.get(identifier, ())} or {"5"}
    (_, preset), (_, measured), _ = named = [(name, value) for name, _, value in commands]
    assert [name for name, _ in named] == ["run", "measure", "verdict"]
    assert preset == "smoke"
    assert (measured or "5") in seeds
    assert {argument for _, argument, _ in commands} == {identifier}
    assert all(name in main.commands for name, _, _ in commands)
    assert visible(text).count(key_lines(REAL.recipes[identifier].text) or "missing") == 1


@pytest.mark.parametrize("identifier", RECIPES)
def test_the_calls_on_the_page_fit_the_functions_they_import(identifier) -> None:
    text, record = REAL.recipes[identifier].text, REAL.records[identifier]
    used = usage(text, record.module, REAL.modules)
    assert used is not None
    tree = ast.parse(used.text)
    (imported,) = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert imported.module == f"recipes.{record.module}"
    defined = {node.name: node.args for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    called = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for alias in imported.names:
        arguments = defined[alias.name]
        known = {entry.arg for entry in (*arguments.args, *arguments.kwonlyargs)}
        calls = [call for call in called if ast.unparse(call.func) == alias.name]
        assert calls
        for call in calls:
            assert len(call.args) <= len(arguments.args)
            given_by_name = {keyword.arg for keyword in call.keywords}
            assert given_by_name - {None} <= known
            needed = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            missing = {entry.arg for entry, default in needed if default is None} - given_by_name
            assert not missing or None in given_by_name
    for module in used.modules:
        assert (ROOT / module).is_file()
        assert module in page(identifier)


def test_the_shortest_call_is_shown_and_what_partial_leaves_open_has_its_name() -> None:
    modules = {f"recipes/common/{name}.py": "" for name in ("__init__", "data", "models", "pruning")}
    used = usage(CALLED, "cutting", modules)
    assert used is not None
    assert used.text == "from recipes.cutting import cut\n\ncut(net, inputs, seed=seed)\n"
    assert used.modules == ("recipes/common/models.py", "recipes/common/pruning.py")
    assert used.definitions == ("LIMIT", "_half")


def test_a_statement_keeps_its_lines_and_loses_its_indentation() -> None:
    used = usage(CALLED.replace("later = partial(cut, seed=seed)", "pass"), "cutting", {})
    assert used is not None
    assert used.text == "from recipes.cutting import cut\n\ncut(\n    net, seed=seed,\n)\n"


@pytest.mark.parametrize(
    ("replaced", "by", "shown"),
    [
        ("partial(cut, seed=seed)", "partial(cut)", "result = cut(net, inputs, seed=seed)"),
        ("later = partial(cut, seed=seed)", "pass", "result = cut(\n    net, seed=seed,\n)"),
        ("later = partial(cut, seed=seed)", "net = cut(net, net, seed=1)", "net = cut(net, net, seed=1)"),
        ("later = partial(cut, seed=seed)", "cut(net, net, seed=1)", "cut(net, net, seed=1)"),
    ],
)  # fmt: skip
def test_a_result_is_taken_and_what_must_be_named_is_named(replaced, by, shown) -> None:
    text = CALLED.replace("*, seed):", "*, seed) -> Net:").replace(replaced, by)
    used = usage(text, "cutting", {})
    assert used is not None
    assert used.text == f"from recipes.cutting import cut\n\n{shown}\n"


def test_a_call_for_its_effect_takes_no_result() -> None:
    used = usage(CALLED.replace("*, seed):", "*, seed) -> None:"), "cutting", {})
    assert used is not None
    assert used.text.endswith("\ncut(net, inputs, seed=seed)\n")


def test_a_recipe_that_calls_nothing_marked_has_no_usage() -> None:
    assert usage(RECIPE_TEXT, "made_up", {}) is None
    assert usage("x = 1\n", "made_up", {}) is None


def test_the_whole_file_has_a_page_of_its_own_and_can_be_downloaded() -> None:
    files = render_site(catalogue(PRUNING, SPARSITY, DARK), {})
    assert f'<a href="../../recipes/{PRUNING.id}/index.html">' in files[f"tactics/{PRUNING.id}/index.md"]
    text = files[f"recipes/{PRUNING.id}/index.md"]
    assert f'href="{PRUNING.module}.py" download' in text
    assert files[f"recipes/{PRUNING.id}/{PRUNING.module}.py"] == RECIPE_TEXT
    (listing,) = re.findall(r'<code tabindex="0">(.*?)</code>', text, re.DOTALL)
    assert visible(listing) == RECIPE_TEXT
    assert "&lt;script&gt;" in listing
    assert "```" not in listing
    numbers = re.findall(r'gt-line-numbers no-copy">(.*?)</pre>', text, re.DOTALL)
    assert numbers == ["".join(f"{number}\n" for number in range(1, RECIPE_TEXT.count("\n") + 1))]
    assert not [path for path in files if path.startswith((f"recipes/{SPARSITY.id}", f"recipes/{DARK.id}"))]


@given(st.text(alphabet="ab \n\"'#\\def class_<>&{}`~f1", max_size=80))
def test_colours_change_no_sign_of_a_listing(text) -> None:
    assert visible(highlighted(text)) == visible(listing_to_html(text)) == text


def test_what_is_coloured() -> None:
    assert highlighted('def f(x):  # "c"\n    return f"{x}"\n') == (
        '<span class="k">def</span> <span class="nf">f</span>(x):  '
        '<span class="c"># &#34;c&#34;</span>\n'
        '    <span class="k">return</span> <span class="s">f&#34;&#123;x&#125;&#34;</span>\n'
    )
