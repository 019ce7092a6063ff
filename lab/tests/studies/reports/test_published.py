"""The published figures are complete and are those of their tables."""

from facegeom_lab.studies.reports.published import load


def test_networks_of_tables_1_to_5() -> None:
    networks = load().landmarks.networks
    assert [network.table for network in networks.values()] == ["3.1", "3.2", "3.3", "3.4", "3.5"]
    assert [network.nme for network in networks.values()] == [0.0784, 0.0773, 0.0737, 0.0788, 0.0775]
    assert [network.epochs for network in networks.values()] == [47, 50, 39, 32, 36]
    assert [network.cpu_ms for network in networks.values()] == [53, 29, 41, 26, 80]
    assert [network.gpu_ms for network in networks.values()] == [4.0, 7.4, 11.3, 8.5, 12.4]
    assert [network.gflops for network in networks.values()] == [1.81, 0.3, 0.39, 0.22, None]


def test_every_change_makes_the_published_error_larger_and_wing_smaller() -> None:
    study = load().landmarks
    as_is = study.networks["mobilenetv3"].nme
    assert len(study.ablations) == 6
    assert all(training.nme > as_is and training.title for training in study.ablations.values())
    assert all(training.nme < study.networks[key].nme for key, training in study.wing.items())
