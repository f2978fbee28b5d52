"""Space files: round trips, atomic replacement, facts without PyTorch, and a committed file of version 1."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import trimesh

from latentsdf.codec.mesh_stream import snap_to_lattice
from latentsdf.codec.residual import KIND, Coefficients, Residual
from latentsdf.core.hdf5 import format_of
from latentsdf.dataset.dataset import Dataset
from latentsdf.mesh.load import load_mesh
from latentsdf.mesh.repair import repair_mesh
from latentsdf.mesh.search_record import SEARCH_BYTES, search_record
from latentsdf.primitives import sphere
from latentsdf.solver import Correction, SolveConfig, solve
from latentsdf.space.file_info import MESH, RESIDUAL, VERSION, space_info
from latentsdf.space.index import Index
from latentsdf.space.shape import Shape
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import append, load, load_resume, save
from latentsdf.space.stored_mesh import StoredMesh
from latentsdf.training.warm_start import base_space

PINNED = Path(__file__).parents[1] / "data" / "space_v1.h5"


def test_a_space_survives_its_file_to_the_bit(space_path: Path, tmp_path: Path) -> None:
    space = load(space_path)
    save(space, tmp_path / "again.h5")
    again = load(tmp_path / "again.h5")
    assert again.names == space.names
    assert torch.equal(again.codes(), space.codes())
    assert again.decoder.config == space.decoder.config
    for (name, a), b in zip(space.decoder.state_dict().items(), again.decoder.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    for name in space:
        np.testing.assert_array_equal(again[name].frame.center, space[name].frame.center)
        assert again[name].frame.scale == space[name].frame.scale
        assert again[name].metadata == space[name].metadata
    assert again.history == space.history


def test_half_precision_halves_the_decoder_and_keeps_codes(space_path: Path, tmp_path: Path) -> None:
    space = load(space_path)
    save(space, tmp_path / "half.h5", precision="float16")
    half = load(tmp_path / "half.h5")
    assert torch.equal(half.codes(), space.codes())
    points = torch.rand(200, 3) * 2 - 1
    name = space.names[0]
    assert float((half[name].sdf(points) - space[name].sdf(points)).abs().max()) < 0.01


def test_append_adds_rows_and_leaves_the_rest_alone(space_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "space.h5"
    save(load(space_path), path, codes="float32")
    space = load(path)
    first = space[space.names[0]]
    new = replace(first, name="new/shape", code=first.code + 1.0)
    append(path, [new])
    after = load(path)
    assert after.names == (*space.names, "new/shape")
    assert torch.equal(after.codes()[:-1], space.codes())
    assert torch.equal(after["new/shape"].code, new.code)
    for name, weights in space.decoder.state_dict().items():
        assert torch.equal(after.decoder.state_dict()[name], weights), name
    with pytest.raises(ValueError, match="already holds a shape named 'new/shape'"):
        append(path, [new])
    append(path, [replace(new, code=new.code * 2)], replace=True)
    assert len(load(path)) == len(after)
    assert torch.equal(load(path)["new/shape"].code, new.code * 2)


def test_a_code_is_found_again_exactly(space_path: Path) -> None:
    space = load(space_path)
    for name in space:
        match = Index(space).search(name, k=1)[0]
        assert match.name == name
        assert match.distance == 0.0


def test_a_failing_write_leaves_the_old_file(space_path: Path, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "space.h5"
    shutil.copy(space_path, path)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    space = load(path)
    with monkeypatch.context() as patch:
        patch.setattr(h5py.Group, "create_dataset", full)
        with pytest.raises(OSError, match="No space left on device"):
            save(space, path)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="unchanged"):
            append(path, [replace(space[space.names[0]], name="x")])
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["space.h5"]


def test_files_that_are_not_ours_are_named_for_what_they_are(
    tmp_path: Path, space_path: Path, dataset_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        load(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(ValueError, match="not a readable HDF5 file"):
        load(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(ValueError, match="another program"):
        load(tmp_path / "other.h5")
    with pytest.raises(ValueError, match="it is a latentsdf-dataset"):
        load(dataset_path)
    assert [format_of(path) for path in (tmp_path / "other.h5", dataset_path)] == ["", "latentsdf-dataset"]
    shutil.copy(space_path, tmp_path / "future.h5")
    with h5py.File(tmp_path / "future.h5", "r+") as file:
        file.attrs["version"] = 99
    with pytest.raises(ValueError, match="version 99.*upgrade"):
        load(tmp_path / "future.h5")
    whole = space_path.read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="truncated"):
        load(tmp_path / "cut.h5")
    shutil.copy(space_path, tmp_path / "damaged.h5")
    with h5py.File(tmp_path / "damaged.h5", "r+") as file:
        del file["shapes/code_streams"]
    with pytest.raises(ValueError, match="damaged"):
        load(tmp_path / "damaged.h5")


def test_a_finished_space_has_nothing_to_resume(space_path: Path) -> None:
    assert load_resume(space_path) is None


def test_the_committed_version_1_file_loads_for_ever() -> None:
    space = load(PINNED)
    assert space.names == ("ball/0", "ball/1", "box/0")
    assert space.code_size == 4
    np.testing.assert_allclose(space["ball/1"].frame.center, [1.0, 2.0, 3.0])
    assert space["ball/1"].frame.scale == 2.5
    values = space["box/0"].sdf(torch.tensor([[0.0, 0.0, 0.0], [0.5, -0.25, 0.75]]))
    np.testing.assert_allclose(values.numpy(), [PINNED_VALUES[0], PINNED_VALUES[1]], rtol=1e-5)


PINNED_VALUES = (-0.4922148585319519, -0.5367850065231323)


def test_eight_bits_a_number_cost_a_byte_and_little_else(space_path: Path, tmp_path: Path) -> None:
    space, path = load(space_path), tmp_path / "small.h5"
    save(space, path, precision="int8", codes="int8")
    small = load(path)
    steps = (space.codes().abs() / space.codes().square().mean(0).sqrt()).amax(1) / 127
    bound = 0.5001 * steps[:, None] * space.codes().square().mean(0).sqrt()
    assert ((small.codes() - space.codes()).abs() <= bound).all()
    file: Any
    with h5py.File(path) as file:
        assert file.attrs["version"] == VERSION
        assert file["shapes/code"].dtype == np.int8
        assert file["decoder/grid"].dtype == np.float16  # small tensors are not worth eight bits
    new = replace(small[small.names[0]], name="new", code=space.codes()[3] * 5)
    append(path, [new])
    again = load(path)
    assert torch.equal(again.codes()[:-1], small.codes())
    torch.testing.assert_close(again["new"].code, new.code, rtol=0, atol=float(bound.max()) * 6)


def test_weights_in_eight_bits_are_packed_without_loss(tmp_path: Path) -> None:
    space, path = base_space("dual"), tmp_path / "packed.h5"
    save(space, path, precision="int8", codes="int8")
    numbers = sum(tensor.numel() for tensor in space.decoder.state_dict().values())
    assert space_info(path).sizes.decoder < 0.9 * numbers < path.stat().st_size
    for kept, again in zip(space.decoder.state_dict().values(), load(path).decoder.state_dict().values(), strict=True):
        assert torch.equal(kept, again)


def test_code_streams_are_kept_appended_to_and_replaced(space_path: Path, tmp_path: Path) -> None:
    space, path = load(space_path), tmp_path / "space.h5"
    form = space.code_format
    assert form is not None
    assert torch.equal(form.rounded(space.codes()), space.codes())
    save(space, path)
    assert torch.equal(load(path).codes(), space.codes())
    new = replace(space[space.names[0]], name="new/shape", code=space.codes().mean(0))
    append(path, [new])
    append(path, [replace(space[space.names[1]], code=new.code)], replace=True)
    codes = load(path).codes()
    assert torch.equal(codes[-1], form.rounded(new.code))
    assert torch.equal(codes[1], codes[-1])
    assert torch.equal(codes[2:-1], space.codes()[2:])
    info = space_info(path)
    assert info.code_size == space.code_size
    assert abs(info.sizes.code - np.mean([len(stream) for stream in form.pack(codes)]) - 2) < 2


def test_a_damaged_code_stream_is_named(space_path: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(space_path, tmp_path / "damaged.h5"))
    with h5py.File(path, "r+") as file:
        streams = np.array(file["shapes/code_streams"])
        streams[1] ^= 255
        del file["shapes/code_streams"]
        file["shapes/code_streams"] = streams
    with pytest.raises(ValueError, match=r"damaged\.h5 is a damaged latentsdf space: the stream of row 0"):
        load(path)


def corrected(shape: Shape) -> Shape:
    """A shape with some correction."""
    points = torch.nn.functional.normalize(torch.randn(500, 3, generator=torch.Generator().manual_seed(0))).numpy()
    solution = solve(0.5 * points, points, SolveConfig(resolution=16), prior=sphere(0.45))
    return replace(shape, correction=Correction.of(solution.correction))


def test_corrections_are_kept_beside_the_codes(space_path: Path, tmp_path: Path) -> None:
    space, path = load(space_path), tmp_path / "space.h5"
    names, points = space.names, torch.rand(300, 3) * 2 - 1
    tight = corrected(space[names[1]])
    space.add(tight, replace=True)
    save(space, path, codes="float32")
    again = load(path)
    assert [isinstance(again[name].correction, Correction) for name in names] == [name == tight.name for name in names]
    assert torch.equal(again[tight.name].sdf(points), tight.sdf(points))
    assert tight.correction is not None
    assert space_info(path).sizes[2:4] == (tight.correction.nbytes, 1)
    append(path, [replace(tight, name="new/tight"), replace(tight, name="new/loose", correction=None)])
    again = load(path)
    assert torch.equal(again["new/tight"].sdf(points), tight.sdf(points))
    assert again["new/loose"].correction is None
    assert again[tight.name].correction is not None
    assert space_info(path).sizes.corrected == 2
    append(path, [tight.without_correction()], replace=True)
    assert load(path)[tight.name].correction is None
    assert space_info(path).sizes[2:4] == (tight.correction.nbytes, 1)


def residual(seed: int = 0) -> Residual:
    """Some residual."""
    levels = [np.random.default_rng(seed).integers(-2, 3, (9, 9, 9)), np.zeros((17, 17, 17), dtype=np.int64)]
    levels[1][8, 8, 8] = 3
    return Residual.of(Coefficients(levels, 20))


def test_residuals_and_corrections_share_a_column(space_path: Path, tmp_path: Path) -> None:
    space, path, points = load(space_path), tmp_path / "space.h5", torch.rand(300, 3) * 2 - 1
    names = space.names
    old, new = corrected(space[names[0]]), replace(space[names[1]], correction=residual())
    for shape in (old, new):
        space.add(shape, replace=True)
    save(space, path)
    again = load(path)
    assert isinstance(again[names[0]].correction, Correction)
    assert isinstance(again[names[1]].correction, Residual)
    for shape in (old, new):
        assert torch.equal(again[shape.name].sdf(points), shape.sdf(points))
    assert new.correction is not None
    assert space_info(path).residuals == (new.correction.nbytes,)
    assert space_info(path).sizes.corrected == 2
    with pytest.raises(ValueError, match="no second derivatives"):
        _ = again[names[1]].smooth_sdf


def test_a_stored_mesh_takes_the_place_of_the_decoded_field(tmp_path: Path) -> None:
    path, points = tmp_path / "space.h5", torch.rand(100, 3) * 2 - 1
    shutil.copy(PINNED, path)
    box = trimesh.creation.box((1.0, 1.0, 1.0))
    stored = StoredMesh.of(snap_to_lattice(box.vertices, box.faces, 4))
    append(path, [replace(load(path)["ball/0"], name="box", correction=stored)])
    again = load(path)["box"]
    assert isinstance(again.correction, StoredMesh)
    offset = points.abs() - 0.5
    exact = offset.clamp_min(0).norm(dim=1) + offset.amax(1).clamp_max(0)
    assert torch.allclose(again.sdf(points), exact, atol=1e-5)
    assert space_info(path).meshes == (stored.nbytes,)
    assert space_info(path).residuals == ()
    assert stored.packed[0] == MESH
    with pytest.raises(ValueError, match="no second derivatives"):
        _ = again.smooth_sdf


def test_a_file_of_version_1_takes_residuals_and_corrections(tmp_path: Path) -> None:
    path = tmp_path / "space.h5"
    shutil.copy(PINNED, path)
    first = load(path)["ball/0"]
    append(path, [replace(first, name="tight", correction=residual())])
    append(path, [replace(corrected(first), name="tighter")])
    assert space_info(path).residuals == (residual().nbytes,)


def test_the_first_byte_of_a_residual_is_known_without_pytorch() -> None:
    assert RESIDUAL == KIND == residual().packed[0]


def test_a_file_of_version_1_is_written_anew_when_it_is_added_to(tmp_path: Path) -> None:
    path = Path(shutil.copy(PINNED, tmp_path / "space.h5"))
    old, first = load(path), load(path)["ball/0"]
    with pytest.raises(ValueError, match="already holds a shape named 'ball/0'"):
        append(path, [first])
    assert path.read_bytes() == PINNED.read_bytes()
    append(path, [replace(first, name="loose")])
    assert (space_info(path).version, space_info(path).segments) == (VERSION, 0)
    append(path, [corrected(first)], replace=True)
    assert space_info(path).segments == 1
    again = load(path)
    assert again.names == ("ball/0", "ball/1", "box/0", "loose")
    assert [again[name].correction is None for name in again] == [False, True, True, True]
    assert torch.equal(again.codes()[:3], old.codes())


def test_the_facts_of_a_file_are_those_of_the_space(space_path: Path) -> None:
    for path in (space_path, PINNED):
        space, info = load(path), space_info(path)
        assert info.names == space.names
        assert (info.decoder, info.code_size) == (space.decoder.kind, space.code_size)
        assert info.parameters == space.decoder.parameter_count()
        assert (info.history, info.prefix_sizes) == (space.history, space.prefix_sizes)
        assert not info.unfinished


def test_damage_is_named_without_loading(space_path: Path, tmp_path: Path) -> None:
    for name in ("shapes/name_blocks", "shapes/info_length", "decoder"):
        path = Path(shutil.copy(space_path, tmp_path / "damaged.h5"))
        with h5py.File(path, "r+") as file:
            del file[name]
        with pytest.raises(ValueError, match=r"damaged\.h5 is a damaged latentsdf space"):
            space_info(path)


def test_retrieval_is_by_codes_alone(space_path: Path) -> None:
    space = load(space_path)
    name = space.names[0]
    space.add(corrected(space[name]), replace=True)
    match = Index(space).search(space[name], k=1)[0]
    assert (match.name, match.distance) == (name, 0.0)


def test_records_are_kept_appended_to_and_replaced(space_path: Path, tmp_path: Path) -> None:
    path, space = tmp_path / "space.h5", load(space_path)
    plain = [replace(space[name], record=None) for name in space.names]
    save(LatentSpace(space.decoder, plain, space.history), path)
    with h5py.File(path) as file:
        assert "shapes/record" not in file
    record = np.zeros(SEARCH_BYTES, np.int8)
    record[: 128 + 2 * 48] = np.arange(128 + 2 * 48) % 27 - 13
    record[0] = 15
    append(path, [replace(plain[0], name="new/a", record=record), replace(plain[0], name="new/b")])
    append(path, [replace(plain[1], record=-record)], replace=True)
    save(load(path), path)
    again = load(path)
    assert [name for name in again if again[name].record is not None] == [plain[1].name, "new/a"]
    assert again["new/a"].record is not None
    assert again[plain[1].name].record is not None
    np.testing.assert_array_equal(again["new/a"].record, record)
    np.testing.assert_array_equal(again[plain[1].name].record, -record)
    assert again["new/a"].truncated(1).record is None
    with h5py.File(path, "r+") as file:
        lengths = np.array(file["shapes/record_length"])
        lengths[1] += 1
        file["shapes/record_length"][...] = lengths  # pyright: ignore[reportIndexIssue]
    with pytest.raises(ValueError, match="damaged latentsdf space: strings take"):
        load(path)


def test_records_travel_from_the_meshes_to_the_space(space_path: Path, dataset_path: Path, mesh_dir: Path) -> None:
    space, dataset = load(space_path), Dataset(dataset_path)
    for name, record in zip(dataset.names, dataset.records, strict=True):
        np.testing.assert_array_equal(record, search_record(repair_mesh(load_mesh(mesh_dir / f"{name}.ply"))[0]))
        np.testing.assert_array_equal(space[name].record, record)
