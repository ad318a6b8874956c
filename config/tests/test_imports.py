"""Modules import one another in one direction: nobody, over however many others, imports itself."""

from graphlib import TopologicalSorter

import grimp

APPS = ("apikeys", "tracking", "carriers", "shipping", "webhooks", "config")


def test_no_module_imports_itself_over_others():
    graph = grimp.build_graph(*APPS, include_external_packages=False)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 150
    TopologicalSorter(imports).prepare()  # raises CycleError naming the circle


def test_an_adapter_reaches_neither_models_nor_settings_nor_requests():
    graph = grimp.build_graph(*APPS, include_external_packages=True)
    adapters = [name for name in graph.modules if name.startswith("carriers.adapters.")]
    for adapter in adapters:
        reached = graph.find_upstream_modules(adapter)
        ours = {name for name in reached if name.endswith((".models", ".settings", ".transport", ".views"))}
        assert not ours, f"{adapter} reaches {sorted(ours)}"
        assert "requests" not in graph.find_modules_directly_imported_by(adapter)
