// Meshes, points and sections of fields in WebGL 2: orbit camera with inertia, soft light, drawn only when it changes.

const MESH_VERTEX = `#version 300 es
layout(location=0) in vec3 position; layout(location=1) in vec3 normal; layout(location=2) in float guess;
uniform mat4 view, projection, model; out vec3 eye, world, at, facing; out float unsure;
void main() {
  vec4 w = model * vec4(position, 1.0); world = w.xyz; at = position;
  vec4 e = view * w; eye = e.xyz; facing = mat3(view) * mat3(model) * normal; unsure = guess;
  gl_Position = projection * e;
}`;
const MESH_FRAGMENT = `#version 300 es
precision highp float;
in vec3 eye, world, at, facing; in float unsure; out vec4 color;
uniform vec3 base, guessed, inner; uniform vec4 cut; uniform float ambient; uniform mat4 view;
void main() {
  if (cut.w < 9.0 && dot(at, cut.xyz) > cut.w) discard;
  vec3 n = normalize(facing), v = normalize(-eye);
  bool back = dot(n, v) < 0.0;
  if (back) n = -n;
  vec3 up = normalize(mat3(view) * vec3(0.0, 0.0, 1.0));
  float sky = 0.5 + 0.5 * dot(n, up);
  vec3 key = normalize(vec3(-0.42, 0.62, 0.66)), fill = normalize(vec3(0.85, 0.1, 0.45));
  float k = max((dot(n, key) + 0.25) / 1.25, 0.0), f = max((dot(n, fill) + 0.4) / 1.4, 0.0);
  float sheen = pow(max(dot(n, normalize(key + v)), 0.0), 38.0) * 0.16;
  float rim = pow(1.0 - max(dot(n, v), 0.0), 3.5) * 0.22 * sky;
  vec3 albedo = mix(base, guessed, smoothstep(0.15, 0.75, unsure));
  vec3 light = mix(vec3(0.15, 0.145, 0.17), vec3(0.38, 0.41, 0.46), sky) * ambient
    + k * vec3(0.92, 0.89, 0.83) + f * vec3(0.10, 0.13, 0.18);
  vec3 c = albedo * light + sheen + rim * vec3(0.75, 0.85, 1.0) * (0.35 + albedo);
  if (back) c = inner * (0.55 + 0.45 * sky);
  color = vec4(pow(c / (1.0 + 0.12 * c), vec3(1.0 / 2.2)), 1.0);
}`;
const QUAD_VERTEX = `#version 300 es
layout(location=0) in vec2 corner; uniform mat4 view, projection, model; out vec2 at;
void main() { at = corner; gl_Position = projection * view * model * vec4(corner, 0.0, 1.0); }`;
const SHADOW_FRAGMENT = `#version 300 es
precision highp float; in vec2 at; out vec4 color; uniform float strength;
void main() { float r = length(at); float a = strength * exp(-4.2 * r * r) * smoothstep(1.0, 0.7, r); color = vec4(vec3(0.0), 1.0) * a; }`;
const SECTION_FRAGMENT = `#version 300 es
precision highp float; precision highp sampler2D;
in vec2 at; out vec4 color;
uniform sampler2D values; uniform float cells, lines; uniform vec3 inside, outside, paper, ink;
float read(vec2 p) {
  vec2 q = clamp(p, 0.0, cells - 1.001); ivec2 i = ivec2(floor(q)); vec2 f = q - vec2(i);
  float a = texelFetch(values, i, 0).r, b = texelFetch(values, i + ivec2(1, 0), 0).r;
  float c = texelFetch(values, i + ivec2(0, 1), 0).r, d = texelFetch(values, i + ivec2(1, 1), 0).r;
  return mix(mix(a, b, f.x), mix(c, d, f.x), f.y);
}
void main() {
  float s = read((at * 0.5 + 0.5) * (cells - 1.0));
  float w = max(fwidth(s), 1e-5), amount = 1.0 - exp(-3.2 * abs(s));
  vec3 c = mix(paper, s < 0.0 ? inside : outside, (s < 0.0 ? 0.45 : 0.16) + 0.5 * amount);
  float level = abs(fract(s / lines + 0.5) - 0.5) * lines;
  c = mix(c, ink, 0.5 * (1.0 - smoothstep(0.4 * w, 1.3 * w, level)));
  c = mix(c, ink, 1.0 - smoothstep(0.9 * w, 2.1 * w, abs(s)));
  float fade = smoothstep(1.0, 0.9, max(abs(at.x), abs(at.y)));
  float a = fade * (s < 0.0 ? 1.0 : 0.86);
  color = vec4(c * a, a);
}`;
const POINT_VERTEX = `#version 300 es
layout(location=0) in vec3 position; uniform mat4 view, projection, model; uniform float size;
void main() { gl_Position = projection * view * model * vec4(position, 1.0); gl_Position.z -= 0.002 * gl_Position.w; gl_PointSize = size; }`;
const POINT_FRAGMENT = `#version 300 es
precision highp float; out vec4 color; uniform vec3 base;
void main() { vec2 p = gl_PointCoord - 0.5; if (dot(p, p) > 0.25) discard; color = vec4(base, 1.0); }`;

const FIELD_OF_VIEW = 26 * Math.PI / 180;
const HOME = { yaw: 0.65, pitch: 0.38, distance: 5.0 };

export class Scene {
  constructor(canvas, { thumbnails = false } = {}) {
    this.canvas = canvas;
    const gl = this.gl = canvas.getContext("webgl2", { antialias: true, alpha: true, preserveDrawingBuffer: true });
    if (!gl) throw new Error("this browser has no WebGL 2, which the shapes are drawn with");
    this.thumbnails = thumbnails;
    this.still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.programs = {
      mesh: program(gl, MESH_VERTEX, MESH_FRAGMENT), shadow: program(gl, QUAD_VERTEX, SHADOW_FRAGMENT),
      section: program(gl, QUAD_VERTEX, SECTION_FRAGMENT), points: program(gl, POINT_VERTEX, POINT_FRAGMENT),
    };
    this.quad = gl.createVertexArray();
    gl.bindVertexArray(this.quad);
    buffer(gl, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), 0, 2, gl.FLOAT, false);
    this.meshes = { main: null, other: null };
    this.points = null; this.section = null; this.split = null; this.cut = null; this.showMesh = true;
    this.upright = "z"; this.spin = false; this.appear = 1;
    this.camera = { ...HOME, x: 0, y: 0, z: 0 };
    this.goal = { ...this.camera };
    this.speed = { yaw: 0, pitch: 0 };
    this.colors = { base: [0.6, 0.71, 0.86], guessed: [0.9, 0.55, 0.1], inner: [0.3, 0.33, 0.4], other: [0.75, 0.72, 0.66] };
    this.frames = 0;
    if (!thumbnails) {
      listen(this);
      new ResizeObserver(() => this.invalidate()).observe(canvas);
    }
  }

  setMesh(slot, mesh, fresh = false) {
    const gl = this.gl, old = this.meshes[slot];
    if (old) { gl.deleteVertexArray(old.array); old.buffers.forEach((item) => gl.deleteBuffer(item)); }
    this.meshes[slot] = mesh && upload(gl, mesh);
    if (fresh && slot === "main" && !this.still) this.appear = 0;
    this.invalidate();
  }

  setPoints(packet) {
    const gl = this.gl;
    if (this.points) { gl.deleteVertexArray(this.points.array); gl.deleteBuffer(this.points.buffer); this.points = null; }
    if (packet) {
      const array = gl.createVertexArray();
      gl.bindVertexArray(array);
      const held = buffer(gl, packet.positions, 0, 3, gl.FLOAT, false);
      this.points = { array, buffer: held, count: packet.positions.length / 3 };
    }
    this.invalidate();
  }

  setSection(packet) {
    const gl = this.gl;
    if (this.section) gl.deleteTexture(this.section.texture);
    this.section = null; this.cut = null;
    if (packet) {
      const { cells, axis, offset, side } = packet.header;
      const texture = gl.createTexture();
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.R32F, cells, cells, 0, gl.RED, gl.FLOAT, packet.values);
      for (const name of ["MIN", "MAG"]) gl.texParameteri(gl.TEXTURE_2D, gl[`TEXTURE_${name}_FILTER`], gl.NEAREST);
      this.section = { texture, cells, axis, offset, side };
    }
    this.invalidate();
  }

  setCut(axis, offset) {
    this.cut = axis === null ? null : { axis, offset };
    this.invalidate();
  }

  home() { Object.assign(this.goal, HOME, { x: 0, y: 0, z: 0 }); this.speed = { yaw: 0, pitch: 0 }; this.invalidate(); }

  turn(yaw, pitch) {
    this.goal.yaw += yaw;
    this.goal.pitch = Math.max(-1.5, Math.min(1.5, this.goal.pitch + pitch));
    this.invalidate();
  }

  zoom(factor) { this.goal.distance = Math.max(0.6, Math.min(14, this.goal.distance * factor)); this.invalidate(); }

  pan(dx, dy) {
    const scale = this.camera.distance * Math.tan(FIELD_OF_VIEW / 2) * 2 / Math.max(1, this.canvas.clientHeight);
    const { right, up } = axes(this.camera);
    for (const [i, key] of ["x", "y", "z"].entries()) this.goal[key] += scale * (-dx * right[i] + dy * up[i]);
    this.invalidate();
  }

  invalidate() {
    if (this.thumbnails || this.waiting) return;
    this.waiting = true;
    requestAnimationFrame((time) => { this.waiting = false; this.step(time); });
  }

  step(time) {
    const seconds = Math.min(0.05, (time - (this.last ?? time)) / 1000 || 0.016);
    this.last = time;
    let moving = false;
    if (!this.dragging) {
      for (const key of ["yaw", "pitch"]) {
        this.speed[key] *= Math.exp(-4.5 * seconds);
        if (Math.abs(this.speed[key]) > 0.02 && !this.still) { this.turn(...(key === "yaw" ? [this.speed.yaw * seconds, 0] : [0, this.speed.pitch * seconds])); moving = true; }
      }
    }
    if (this.spin && !this.dragging && !this.still) { this.goal.yaw += 0.35 * seconds; moving = true; }
    const share = this.still ? 1 : 1 - Math.exp(-18 * seconds);
    for (const key of Object.keys(this.goal)) {
      const gap = this.goal[key] - this.camera[key];
      this.camera[key] += Math.abs(gap) < 1e-4 ? gap : gap * share;
      if (Math.abs(gap) >= 1e-4) moving = true;
    }
    if (this.appear < 1) { this.appear = Math.min(1, this.appear + seconds / 0.3); moving = true; }
    this.draw();
    if (moving) this.invalidate(); else this.last = undefined;
  }

  draw() {
    const { gl, canvas } = this;
    if (!this.thumbnails) {
      const ratio = Math.min(2, devicePixelRatio || 1);
      const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
      if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    }
    this.frames++;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.disable(gl.SCISSOR_TEST);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (!canvas.width || !canvas.height) return;
    const ease = 1 - (1 - this.appear) ** 3, size = 0.94 + 0.06 * ease;
    const aspect = canvas.width / canvas.height;
    const shared = {
      view: viewMatrix(this.camera), model: modelMatrix(this.upright, size),
      projection: perspective(FIELD_OF_VIEW, aspect, 0.05, 40),
    };
    const { main, other } = this.meshes, parts = [];
    if (this.split !== null && other) {
      const x = Math.round(this.split * canvas.width);
      parts.push([main, this.colors.base, 0, x], [other, this.colors.other, x, canvas.width - x]);
    } else parts.push([main, this.colors.base, 0, canvas.width]);
    for (const [mesh, color, left, width] of parts) {
      if (!mesh) continue;
      gl.enable(gl.SCISSOR_TEST);
      gl.scissor(left, 0, width, canvas.height);
      if (this.showMesh) this.drawShadow(mesh, shared);
      if (this.showMesh) this.drawMesh(mesh, color, shared);
    }
    gl.disable(gl.SCISSOR_TEST);
    if (this.points) this.drawPoints(shared);
    if (this.section) this.drawSection(shared);
  }

  drawMesh(mesh, base, shared) {
    const gl = this.gl, set = use(gl, this.programs.mesh, shared);
    gl.enable(gl.DEPTH_TEST); gl.disable(gl.BLEND); gl.disable(gl.CULL_FACE);
    set("base", linear(base)); set("guessed", linear(this.colors.guessed)); set("inner", linear(this.colors.inner));
    set("ambient", this.thumbnails ? 1.25 : 1.0);
    const cut = [0, 0, 0, 10];
    if (this.cut) { cut[this.cut.axis] = 1; cut[3] = this.cut.offset; }
    set("cut", cut);
    gl.bindVertexArray(mesh.array);
    if (!mesh.guess) gl.vertexAttrib1f(2, 0);
    gl.drawElements(gl.TRIANGLES, mesh.count, gl.UNSIGNED_INT, 0);
  }

  drawShadow(mesh, shared) {
    if (this.thumbnails || this.camera.pitch < 0.02) return;
    const gl = this.gl, [low, high] = turnedBox(mesh.box, this.upright);
    const radius = [0, 1].map((i) => 0.75 * (high[i] - low[i]) + 0.25);
    const model = [radius[0], 0, 0, 0, 0, radius[1], 0, 0, 0, 0, 1, 0, (low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2] - 0.01, 1];
    const set = use(gl, this.programs.shadow, { ...shared, model });
    set("strength", 0.30 * Math.min(1, this.camera.pitch * 5) * this.appear);
    gl.enable(gl.BLEND); gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA); gl.disable(gl.DEPTH_TEST);
    gl.bindVertexArray(this.quad);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  drawSection(shared) {
    const gl = this.gl, { axis, offset, side, cells, texture } = this.section;
    const [a, b] = [0, 1, 2].filter((i) => i !== axis), place = new Float32Array(16);
    place[a] = side; place[4 + b] = side; place[8 + axis] = 1; place[12 + axis] = offset; place[15] = 1;
    const set = use(gl, this.programs.section, { ...shared, model: multiply(shared.model, place) });
    set("cells", cells); set("lines", 0.1);
    for (const key of ["inside", "outside", "paper", "ink"]) set(key, this.colors[key] ?? [0.5, 0.5, 0.5]);
    gl.activeTexture(gl.TEXTURE0); gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.enable(gl.DEPTH_TEST); gl.enable(gl.BLEND); gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.bindVertexArray(this.quad);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  drawPoints(shared) {
    const gl = this.gl, set = use(gl, this.programs.points, shared);
    set("size", 2.4 * Math.min(2, devicePixelRatio || 1)); set("base", this.colors.ink ?? [0, 0, 0]);
    gl.enable(gl.DEPTH_TEST); gl.disable(gl.BLEND);
    gl.bindVertexArray(this.points.array);
    gl.drawArrays(gl.POINTS, 0, this.points.count);
  }
}

function listen(scene) {
  const canvas = scene.canvas, pointers = new Map();
  let pinch = 0, moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    scene.dragging = true; scene.spin = false; scene.onspin?.(false);
    scene.speed = { yaw: 0, pitch: 0 };
    pinch = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const dx = event.clientX - before.clientX, dy = event.clientY - before.clientY;
    pointers.set(event.pointerId, event);
    if (pointers.size === 2) {
      const [p, q] = [...pointers.values()], distance = Math.hypot(p.clientX - q.clientX, p.clientY - q.clientY);
      if (pinch) scene.zoom(pinch / distance);
      pinch = distance;
      scene.pan(dx / 2, dy / 2);
    } else if (event.shiftKey || event.buttons & 6) scene.pan(dx, dy);
    else {
      const turn = 0.0075, span = Math.max(4, event.timeStamp - moved) / 1000;
      scene.turn(-dx * turn, dy * turn);
      scene.speed = { yaw: 0.6 * scene.speed.yaw - 0.4 * dx * turn / span, pitch: 0.6 * scene.speed.pitch + 0.4 * dy * turn / span };
    }
    moved = event.timeStamp;
  });
  const end = (event) => {
    pointers.delete(event.pointerId);
    pinch = 0;
    if (!pointers.size) {
      scene.dragging = false;
      if (event.timeStamp - moved > 60) scene.speed = { yaw: 0, pitch: 0 };
      scene.invalidate();
    }
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("dblclick", () => scene.home());
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); scene.zoom(Math.exp(event.deltaY * 0.0012)); }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const turns = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, 0.12], ArrowDown: [0, -0.12] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (turns[event.key]) scene.turn(...turns[event.key]);
    else if (event.key === "+" || event.key === "=") scene.zoom(0.88);
    else if (event.key === "-") scene.zoom(1.14);
    else if (event.key === "0") scene.home();
    else return;
    event.preventDefault();
  });
}

function upload(gl, mesh) {
  const array = gl.createVertexArray();
  gl.bindVertexArray(array);
  const buffers = [buffer(gl, mesh.positions, 0, 3, gl.FLOAT, false), buffer(gl, mesh.normals, 1, 3, gl.BYTE, true)];
  if (mesh.guess) buffers.push(buffer(gl, mesh.guess, 2, 1, gl.UNSIGNED_BYTE, true));
  const faces = gl.createBuffer();
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, faces);
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, mesh.faces, gl.STATIC_DRAW);
  const low = [9, 9, 9], high = [-9, -9, -9], p = mesh.positions;
  for (let i = 0; i < p.length; i++) { const k = i % 3; if (p[i] < low[k]) low[k] = p[i]; if (p[i] > high[k]) high[k] = p[i]; }
  return { array, buffers: [...buffers, faces], count: mesh.faces.length, guess: !!mesh.guess, box: [low, high] };
}

function buffer(gl, data, place, size, type, normalized) {
  const held = gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, held);
  gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
  gl.enableVertexAttribArray(place);
  gl.vertexAttribPointer(place, size, type, normalized, 0, 0);
  return held;
}

function program(gl, vertex, fragment) {
  const made = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
  const places = {};
  for (let i = 0; i < gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS); i++) {
    const { name, type } = gl.getActiveUniform(made, i);
    places[name] = [gl.getUniformLocation(made, name), type];
  }
  return { made, places };
}

function use(gl, { made, places }, shared) {
  gl.useProgram(made);
  const set = (name, value) => {
    if (!places[name]) return;
    const [place, type] = places[name];
    if (type === gl.FLOAT_MAT4) gl.uniformMatrix4fv(place, false, value);
    else if (type === gl.FLOAT_VEC3) gl.uniform3fv(place, value);
    else if (type === gl.FLOAT_VEC4) gl.uniform4fv(place, value);
    else gl.uniform1f(place, value);
  };
  for (const [name, value] of Object.entries(shared)) set(name, value);
  return set;
}

function linear(color) { return color.map((value) => value ** 2.2); }

function axes({ yaw, pitch }) {
  const back = [Math.cos(yaw) * Math.cos(pitch), Math.sin(yaw) * Math.cos(pitch), Math.sin(pitch)];
  const right = [-Math.sin(yaw), Math.cos(yaw), 0];
  const up = [back[1] * right[2] - back[2] * right[1], back[2] * right[0] - back[0] * right[2], back[0] * right[1] - back[1] * right[0]];
  return { back, right, up };
}

function viewMatrix(camera) {
  const { back, right, up } = axes(camera);
  const eye = ["x", "y", "z"].map((key, i) => camera[key] + camera.distance * back[i]);
  const dot = (v) => -(v[0] * eye[0] + v[1] * eye[1] + v[2] * eye[2]);
  return [right[0], up[0], back[0], 0, right[1], up[1], back[1], 0, right[2], up[2], back[2], 0, dot(right), dot(up), dot(back), 1];
}

function perspective(angle, aspect, near, far) {
  const f = 1 / Math.tan(angle / 2) * Math.min(1, aspect);
  return [f / aspect, 0, 0, 0, 0, f, 0, 0, 0, 0, (far + near) / (near - far), -1, 0, 0, 2 * far * near / (near - far), 0];
}

function modelMatrix(upright, size) {
  if (upright === "y") return [size, 0, 0, 0, 0, 0, size, 0, 0, -size, 0, 0, 0, 0, 0, 1];
  return [size, 0, 0, 0, 0, size, 0, 0, 0, 0, size, 0, 0, 0, 0, 1];
}

function turnedBox([low, high], upright) {
  if (upright !== "y") return [low, high];
  return [[low[0], -high[2], low[1]], [high[0], -low[2], high[1]]];
}

function multiply(a, b) {
  const out = new Float32Array(16);
  for (let i = 0; i < 4; i++) for (let j = 0; j < 4; j++) for (let k = 0; k < 4; k++) out[4 * j + i] += a[4 * k + i] * b[4 * j + k];
  return out;
}
