"""NAS-Bench-201's table."""

import time

import gdas
import pytest

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"


@pytest.fixture(scope="module")
def table(table_path):
    return gdas.Table(table_path)


def test_a_table_is_opened_once_and_asked_many_times(table):
    assert len(table) == 15625
    index = table.index(CELL)
    assert table[index] == CELL and table.index(gdas.Genotype(CELL)) == index
    known = table.query(index)
    assert known == table.query(CELL, "cifar10", 200) and known["test_accuracy"] > 94
    start = time.perf_counter()
    for _ in range(2000):
        table.query(index)
    assert (time.perf_counter() - start) / 2000 < 1e-3
    with pytest.raises(ValueError, match="15625"):
        table.query(15625)
    with pytest.raises(ValueError, match="cifar11"):
        table.query(index, "cifar11")


def test_best_rank_and_statistics(table):
    best, value = table.best()
    assert table.rank(best) == 1 and table.query(best)["test_accuracy"] == value
    assert table.rank(best, "cifar100") >= 1 and table.best("cifar100", epochs=200)[1] < value
    # A table without costs says so.
    if "parameters" in table.query(best):
        small, less = table.best(max_parameters=0.3)
        assert less < value and table.query(small)["parameters"] <= 0.3
        with pytest.raises(ValueError, match="limits"):
            table.best(max_parameters=0.0)
    else:
        with pytest.raises(ValueError, match="no parameters"):
            table.best(max_parameters=0.3)
    stats = table.stats()
    assert stats["cells"] == 15625 and 6000 < stats["unique"] < 10000
    rows = {(row["dataset"], row["epochs"], row["quantity"]): row for row in stats["quantities"]}
    assert table.rank(rows["cifar10", 200, "test_accuracy"]["largest"]) == 1


def test_searches_in_the_table(table):
    (row,) = table.simulate("random", seeds=3, queries=20)
    assert row["algorithm"] == "random" and len(table.simulate(["random", "evolution"], seeds=2, queries=5)) == 2
    with pytest.raises(ValueError, match="not both"):
        table.simulate(seconds=1, queries=1)


def test_a_frame_of_all_cells(table):
    pytest.importorskip("pandas")
    frame = table.to_pandas("cifar100")
    assert len(frame) == 15625 and frame.loc[table.index(CELL), "cell"] == CELL
    assert frame["test_accuracy"].max() == pytest.approx(table.best("cifar100")[1])


def test_names_of_nats_bench(table):
    index = table.query_index_by_arch(CELL)
    assert index == table.index(CELL) and table.query_index_by_arch("|none~0|") == -1
    mean = table.get_more_info(index, "cifar10", hp="200", is_random=False)
    known = table.query(index, "cifar10", 200)
    assert mean["test-accuracy"] == known["test_accuracy"]
    assert table.get_more_info(index, "cifar10", hp="200")["test-accuracy"] == pytest.approx(known["test_accuracy"], abs=2)
    assert CELL in table.query_by_arch(CELL, "200") and "cifar100" in table.query_by_arch(CELL, "200")
    with pytest.raises(ValueError, match="hp is 12 or 200"):
        table.get_more_info(index, "cifar10", hp="100")  # type: ignore[arg-type]


def test_the_old_call_still_answers(table, table_path):
    found = gdas.query(table_path, CELL)
    assert found == gdas.query(table, CELL)
    assert any(r["dataset"] == "cifar10" and r["values"]["test_accuracy"] > 94 for r in found["results"])
