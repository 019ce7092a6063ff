"""Tables of hand-made results, as their Markdown."""

from pathlib import Path
from typing import Any

from facegeom_lab.measures.tables import Table
from facegeom_lab.studies.reports import tables
from facegeom_lab.studies.reports.published import load
from facegeom_lab.studies.reports.runs import Run, Runs

STUDY = load().landmarks


def runs(**results: dict[str, Any]) -> Runs:
    """Build finished runs with these results; underscores in their names stand for hyphens."""
    named = {name.replace("_", "-"): result for name, result in results.items()}
    return Runs({name: Run(name, Path("nowhere"), result) for name, result in named.items()})


def splits(test: float, val: float, **rest: Any) -> dict[str, Any]:
    pupils = {"test": {"nme_interpupil": test}, "val": {"nme_interpupil": val}}
    return {
        split: each | {"nme_interocular": each["nme_interpupil"] / 2} for split, each in pupils.items()
    } | rest


def rows(table: Table) -> list[str]:
    lines = table.markdown().splitlines()
    return [line for line in lines if line.startswith("|")][2:]


COST = {"epochs": 30, "cpu_ms": 12.34, "gpu_ms": None, "macs": 455_000_000, "parameters": 11_240_000}
SQUARED = splits(0.1, 0.08, **COST, size_px=112, samples=90_450, cpu_threads=1)


def test_networks() -> None:
    table = tables.networks(runs(landmarks106_resnet18_mse=SQUARED), STUDY)
    assert rows(table)[:4] == [
        "| ResNet18 (3.1) | ours | 0.1000 | 0.0800 | 30 | 12.3 | - | 0.455 | 11.2 |",
        "| ResNet18 (3.1) | published | 0.0784 | - | 47 | 53 ± 8 | 4.0 ± 0.6 | 1.81 | 11.7 |",
        "| MobileNetV2 (3.2) | ours: not run | - | - | - | - | - | - | - |",
        "| MobileNetV2 (3.2) | published | 0.0773 | - | 50 | 29 ± 3 | 7.4 ± 1.8 | 0.3 | 3.5 |",
    ]
    assert rows(table)[-1] == (
        "| MobileViT-S (3.5) | published | 0.0775 | - | 36 | 80 ± 8 | 12.4 ± 1.7 | - | 5.6 |"
    )
    setting = (
        "Ours: crops of 112 px, 90,450 pictures seen in training, one face on 1 thread(s) of a processor."
    )
    assert setting in table.protocol
    assert "Ours:" not in tables.networks(Runs({}), STUDY).protocol


def test_ablations() -> None:
    table = tables.ablations(
        runs(
            landmarks106_mobilenetv3_mse=SQUARED,
            landmarks106_mobilenetv3_mse_frozen=splits(0.1105, 0.09, epochs=25),
        ),
        STUDY,
    )
    assert rows(table)[:3] == [
        "| as is | 0.1000 | - | 0.0800 | 30 | 0.0788 | - | 32 |",
        "| no warm-up | not run | - | - | - | 0.0807 | +0.0019 | 39 |",
        "| first 3 of 16 blocks frozen | 0.1105 | +0.0105 | 0.0900 | 25 | 0.0817 | +0.0029 | 39 |",
    ]
    assert rows(table)[7].startswith("| as the notebook does it | not run | - |")
    assert rows(table)[8].startswith("| notebook: first 3 of 16 blocks frozen | not run |")
    assert len(rows(table)) == 7 + 5


def test_an_ablation_without_its_baseline_has_no_difference() -> None:
    table = tables.ablations(runs(landmarks106_mobilenetv3_mse_frozen=splits(0.1, 0.09)), STUDY)
    assert rows(table)[2].startswith("| first 3 of 16 blocks frozen | 0.1000 | - | 0.0900 | - |")


def test_losses() -> None:
    made = runs(
        landmarks106_mobilenetv3_mse=SQUARED,
        landmarks106_mobilenetv3_wing=splits(0.075, 0.06, epochs=44),
        landmarks106_mobilevit_wing=splits(0.07, 0.06),
        landmarks106_mobilenetv3_wing_unit=splits(0.09, 0.08),
    )
    assert rows(tables.losses(made, STUDY)) == [
        "| ResNet18 | not run | not run | - | - | not run | - | 0.0784 | - | - | - |",
        "| MobileNetV2 | not run | not run | - | - | not run | - | 0.0773 | - | - | - |",
        "| EfficientNet-B0 | not run | not run | - | - | not run | - | 0.0737 | 0.0524 | -28.9 | 93 |",
        "| MobileNetV3-Large | 0.1000 | 0.0750 | -25.0 | 44 | 0.0900 | -10.0 "
        "| 0.0788 | 0.0536 | -32.0 | 79 |",
        "| MobileViT-S | not run | 0.0700 | - | - | not run | - | 0.0775 | - | - | - |",
    ]


def test_measures() -> None:
    test = {"nme_interocular": 0.05, "nme_box": 0.02, "failure_rate": 0.125, "auc": 0.4321, "faces": 337}
    made = runs(dlib68={"test": test | {"undetected": 3}, "bytes": 1})
    assert rows(tables.measures(made, ["heatmap68", "dlib68"])) == [
        "| dlib68 | test | 0.0500 | - | 0.0200 | 12.5 | 0.432 | 337 | 3 |"
    ]


def test_mesh() -> None:
    upright, constant = {"mse": 3.1e-4, "nme_interocular": 0.0512}, {"mse": 9e-4, "nme_interocular": 0.11}
    published = "| published | 8.1070e-04 | - |"
    made = runs(mesh478_efficientnetv2b0={"upright": upright, "constant": constant})
    assert rows(tables.mesh(made, load().mesh)) == [
        "| ours | 3.1000e-04 | 0.0512 |",
        "| the mean mesh of the training faces | 9.0000e-04 | 0.1100 |",
        published,
    ]
    made = runs(mesh478_efficientnetv2b0={"upright": upright})
    assert rows(tables.mesh(made, load().mesh)) == ["| ours | 3.1000e-04 | 0.0512 |", published]
    assert rows(tables.mesh(Runs({}), load().mesh)) == ["| ours: not run | - | - |", published]


def test_what_the_backbones_have_learned() -> None:
    errors = {"mse": 1.2e-3, "nme_interocular": 0.0512}, {"mse": 9e-3, "nme_interocular": 0.31}
    body = {"backbone": "resnet18", "view": "close", "size_px": 96, "samples": 65536, "train_seconds": 5400.0}
    made = runs(body_resnet18=body | {"val": errors[0], "constant": errors[1]})
    assert rows(tables.bodies(made.finished)) == [
        "| resnet18 | close | 96 | 65,536 | 1.5 | 1.200e-03 | 9.000e-03 | 0.0512 | 0.3100 |"
    ]


def test_keypoints() -> None:
    made = runs(keypoints14={"error_100x100_val": 4.314, "error_100x100_afw": 6.72})
    table = tables.keypoints(made, load().keypoints)
    assert rows(table) == ["| val | 4.31 | 10 |", "| afw | 6.72 | 8 |"]
    assert "Marks go from 2 (an error of at most 20) to 10 (at most 5)" in table.protocol
    assert rows(tables.keypoints(Runs({}), load().keypoints)) == [
        "| val: not run | - | - |",
        "| afw: not run | - | - |",
    ]


def test_methods_beside_the_best_network() -> None:
    made = runs(
        landmarks106_resnet18_mse=SQUARED,
        landmarks106_resnet18_wing=splits(0.08, 0.07, **COST),
        dlib68=splits(
            0.12, 0.1, bytes=45_600_000, bytes_quantised=5_250_000, nme_quantised=0.061, cpu_ms=1.25
        ),
    )
    table = tables.methods(made, STUDY)
    assert rows(table) == [
        "| regression by a network | 0.0400 | 0.0350 | 12.3 | 44.96 |",
        "| heat maps: not run | - | - | - | - |",
        "| regression trees (dlib) | 0.0600 | 0.0500 | 1.2 | 45.60 |",
        "| the trees, quantised | 0.0610 | - | - | 5.25 |",
        "| regression trees, published | - | - | 1.0 | - |",
    ]
    assert "(landmarks106-resnet18-wing)" in table.protocol
