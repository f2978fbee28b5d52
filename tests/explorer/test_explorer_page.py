"""The page in a headless browser: every part of it is used, and the console stays silent."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from chromium import Chromium
from page_client import Client

DRAWN = "window.explorer && explorer.state.drawn && explorer.state.drawn"


@pytest.fixture(scope="module")
def page(chromium: Chromium, client: Client) -> Chromium:
    """The page, after the first shape is drawn."""
    chromium.messages.clear()
    chromium.open(client.address)
    chromium.wait(f"{DRAWN}.cells")
    return chromium


def covered(page: Chromium) -> int:
    """Pixels of the 3-D view that are not background, read back from WebGL."""
    script = """(() => { const { gl, canvas } = explorer.scene; explorer.scene.draw();
      const data = new Uint8Array(4 * canvas.width * canvas.height);
      gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, data);
      let count = 0; for (let i = 3; i < data.length; i += 4) count += data[i] > 250; return count; })()"""
    return int(page.run(script))


def settled(page: Chromium) -> int:
    """The same once the camera has come to rest and the last mesh is drawn."""
    seen = [covered(page)]
    while len(seen) < 4 or len(set(seen[-4:])) > 1:
        assert len(seen) < 200, seen
        time.sleep(0.2)
        seen.append(covered(page))
    return seen[-1]


def place(page: Chromium, name: str) -> tuple[float, float]:
    """Where a shape is on the page."""
    page.wait("!explorer.map.glide && explorer.map.items.every((item) => item.placed)")
    script = f"""(() => {{
      const box = explorer.map.canvas.getBoundingClientRect(), item = explorer.map.byName.get({name!r});
      const [x, y] = explorer.map.toScreen(item.x, item.y); return [box.left + x, box.top + y]; }})()"""
    x, y = page.run(script)
    return x, y


def middle(key: str) -> str:
    """Script for the middle of an element and its width."""
    return f"""(() => {{ const box = document.getElementById({key!r}).getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2, box.width]; }})()"""


def test_the_first_shape_is_drawn_and_refined(page: Chromium, pictures: Path) -> None:
    page.wait(f"{DRAWN}.cells >= 96")
    assert covered(page) > 20_000
    assert "9 shapes in 3 classes" in page.run("document.getElementById('count').textContent")
    page.wait("explorer.state.plane.startsWith('tsne')")
    page.wait("explorer.thumbnails.kept.size >= 9 && [...explorer.thumbnails.kept.values()].every(Boolean)")
    page.picture(pictures / "first.png")


def test_a_click_on_the_map_shows_the_shape(page: Chromium) -> None:
    page.wait("explorer.state.plane.startsWith('tsne')")
    for name in ("ring/1", "ball/2"):
        page.click(*place(page, name))
        page.wait(f"document.getElementById('name').textContent === {name!r}")
    assert page.run("location.hash") == "#ball%2F2"
    facts = page.run("document.getElementById('facts').textContent")
    assert "bytes" in facts
    assert "Size2.4" in facts or "Size2.3" in facts
    assert len(page.run("[...document.querySelectorAll('#neighbours button')].map((b) => b.title)")) == 8


def test_the_keyboard_reaches_search_map_and_view(page: Chromium) -> None:
    page.press("/")
    page.wait("document.activeElement.id === 'search'")
    for key in "ring/0":
        page.press(key)
    page.wait("document.querySelectorAll('#results li').length === 1")
    page.press("Enter")
    page.wait("document.getElementById('name').textContent === 'ring/0'")
    page.run("document.getElementById('map').focus()")
    page.press("ArrowRight")
    page.press("ArrowLeft")
    page.wait("explorer.map.selected !== null")
    page.run("document.getElementById('stage').focus()")
    before = page.run("explorer.scene.goal.yaw")
    page.press("ArrowRight")
    assert page.run("explorer.scene.goal.yaw") > before
    theme = page.run("document.documentElement.dataset.theme")
    page.press("t")
    assert page.run("document.documentElement.dataset.theme") != theme
    page.press("?")
    assert page.run("document.getElementById('keys').open")
    page.run("document.getElementById('keys').close()")


def test_dragging_turns_the_shape(page: Chromium) -> None:
    x, y, _ = page.run(middle("stage"))
    before = page.run("[explorer.scene.goal.yaw, explorer.scene.goal.pitch]")
    page.mouse("mousePressed", x, y, held=True)
    page.mouse("mouseMoved", x + 60, y + 30, held=True)
    page.mouse("mouseReleased", x + 60, y + 30)
    after = page.run("[explorer.scene.goal.yaw, explorer.scene.goal.pitch]")
    assert after[0] < before[0]
    assert after[1] > before[1]


def test_a_dragged_morph_changes_the_mesh(page: Chromium, pictures: Path) -> None:
    page.run("explorer.pins.clear()")
    for name in ("ball/1", "ring/1"):
        page.run(f"explorer.pins.add({name!r})")
    page.wait(f"{DRAWN}.form === 'morph' || (explorer.pins.setWeights([0.5, 0.5]), false)")
    heights = []
    for share in (0.12, 0.9):
        slider = page.run(middle("morph-slider"))
        page.click(slider[0] + (share - 0.5) * slider[2], slider[1])
        shown = f"Math.abs(explorer.state.drawn.subject.weights?.[1] - {share}) < 0.05"
        page.wait(f"{shown} && explorer.state.drawn.form === 'morph'")
        heights.append(page.run("explorer.scene.meshes.main.box[1][2]"))
    assert heights[0] > heights[1] + 0.2
    page.picture(pictures / "morph.png")
    for name in ("box/0", "box/2"):
        page.run(f"explorer.pins.add({name!r})")
    page.run("explorer.pins.moveTo(0.1, 0.1)")
    page.wait("explorer.state.subject.mix?.length === 4")
    assert page.run("explorer.pins.weights[0]") > 0.9
    page.wait("explorer.state.drawn.subject.mix?.length === 4")
    page.picture(pictures / "four.png")
    page.run("explorer.pins.clear()")


def test_a_slice_and_the_original_are_shown(page: Chromium, pictures: Path) -> None:
    page.run("explorer.map.handlers.select('ball/1')")
    page.wait("document.getElementById('name').textContent === 'ball/1'")
    page.wait(f"{DRAWN}.subject === explorer.state.subject && {DRAWN}.cells >= 96")
    full = settled(page)
    page.press("s")
    page.wait("explorer.scene.section && !explorer.state.slicing")
    page.picture(pictures / "slice.png")
    page.press("s")
    page.wait("!explorer.scene.section")
    assert settled(page) == pytest.approx(full, rel=0.05)
    page.press("c")
    page.wait("explorer.scene.meshes.other && document.getElementById('facts').textContent.includes('F at 0.01')")
    page.picture(pictures / "compare.png")
    page.press("c")


def test_a_dropped_file_is_found_and_encoded(page: Chromium, mesh_dir: Path, pictures: Path) -> None:
    text = json.dumps((mesh_dir / "ring" / "2.ply").read_bytes().hex())
    script = f"""(() => {{
      const data = Uint8Array.from({text}.match(/../g), (pair) => parseInt(pair, 16));
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([data], "dropped.ply"));
      for (const type of ["dragenter", "drop"]) window.dispatchEvent(new DragEvent(type, {{ dataTransfer }})); }})()"""
    page.run(script)
    page.wait("document.getElementById('job-state').textContent === 'is done'")
    page.wait("explorer.state.facts.upload?.matches[0].name === 'ring/2' && explorer.state.subject.upload")
    assert page.run("!document.getElementById('add').hidden")
    page.picture(pictures / "dropped.png")


def test_edits_ask_first_and_show(page: Chromium) -> None:
    page.run("explorer.map.handlers.select('box/0')")
    page.wait("document.getElementById('name').textContent === 'box/0'")
    page.run(
        "document.getElementById('tag-input').value = 'square'; document.querySelector('#tag-form button').click()"
    )
    page.wait("document.getElementById('badges').textContent.includes('# square')")
    page.run("document.getElementById('delete').click()")
    assert page.run("document.getElementById('ask').open")
    page.run("document.querySelector('#ask [value=no]').click()")
    assert page.run("explorer.state.summary.names.length") == 9


def test_an_error_is_shown_and_thousands_of_shapes_are_drawn_at_once(page: Chromium) -> None:
    sentence: Any = page.run("explorer.source.mesh({ name: 'nothing' }, 48).catch((error) => error.message)")
    assert sentence.startswith("no shape named 'nothing' in")
    page.messages[:] = [text for text in page.messages if "404" not in text]
    script = """(() => {
      const { map } = explorer, items = [...Array(5000).keys()].map((i) => ({ name: `x/${i}`, rank: i % 9 }));
      const kept = map.handlers.thumbnail, before = [map.items, map.byName];
      map.handlers.thumbnail = () => null;
      map.setItems(items); map.setPoints(items.map((_, i) => [Math.sin(i), Math.cos(1.7 * i)])); map.glide = null;
      map.items.forEach((item) => { item.x = item.toX; item.y = item.toY; }); map.draw(performance.now());
      const chosen = map.choose(map.items, map.canvas.clientWidth, map.canvas.clientHeight).chosen.length;
      [map.items, map.byName] = before; map.handlers.thumbnail = kept; return chosen; })()"""
    assert 20 < page.run(script) <= 260


def test_the_console_is_silent(page: Chromium) -> None:
    assert page.messages == []
