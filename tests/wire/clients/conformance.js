// The TypeScript client against the shared vectors, and as a bee; see tests/wire/test_clients.py.
//
//   node conformance.js CLIENT vectors FILE FOLDER   -> {"passed": {group: count}, "failed": [text]}
//   node conformance.js CLIENT turn SOCKET           -> {"text": ..., "finish": {...}}
//   node conformance.js CLIENT reconnect SOCKET HID  -> the tones heard, one a line

import { isDeepStrictEqual } from "node:util";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const [client, what, ...args] = process.argv.slice(2);
const thrum = await import(client);

const wane = (group) => {
  const tracker = new thrum.WaneTracker();
  return group.does.map(([verb, sigil, ...rest]) => {
    if (verb === "set") {
      tracker.set(sigil, rest[0]);
      return true;
    }
    const expected = rest.pop();
    return tracker[verb](sigil, ...rest) === expected;
  });
};

const lines = ({ pieces, tones, skipped }) => {
  const reader = new thrum.LineReader(64);
  const heard = pieces.flatMap((piece) => reader.feed(Buffer.from(piece, "latin1")));
  return isDeepStrictEqual(heard, tones) && reader.skipped === skipped;
};

const socket = (folder) => ({ env, runtime, is }) => {
  const place = { HOME: `${folder}/home`, XDG_STATE_HOME: `${folder}/state`, ...env };
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(`${folder}/state/hum`, { recursive: true });
  if (runtime !== null) {
    writeFileSync(`${folder}/state/hum/runtime.json`, JSON.stringify(runtime));
  }
  const wanted = is.replace("$STATE", `${folder}/state`).replace("$HOME", `${folder}/home`);
  return thrum.defaultSocketPath(place) === wanted;
};

const checks = (folder) => ({
  sigil: ({ sid, nest, is }) => thrum.sigil(sid, nest) === is,
  rid: ({ ms, counter, is }) => thrum.ridOf(ms, counter) === is,
  dusk: ({ tone, now, is }) => thrum.isDusk(tone, now) === is && thrum.duskIn(5, now) === now + 5,
  wane: (group) => wane(group).every(Boolean),
  chi: ({ chi, is }) => thrum.isValidChi(chi) === is,
  envelope: ({ tone, is, known }) =>
    thrum.isEnvelope(tone) === is && thrum.isKnownTone(tone) === known,
  problems: ({ tone, are }) => isDeepStrictEqual(thrum.problems(tone), are),
  lines,
  socket: socket(folder),
});

function vectors(file, folder) {
  const passed = {};
  const failed = [];
  const check = checks(folder);
  for (const [name, group] of Object.entries(JSON.parse(readFileSync(file, "utf8")))) {
    const wrong = group.filter((vector) => !check[name](vector));
    failed.push(...wrong.map((vector) => `${name} ${JSON.stringify(vector)}`));
    passed[name] = group.length - wrong.length;
  }
  console.log(JSON.stringify({ passed, failed }));
}

async function turn(path) {
  const worker = new thrum.ThrumClient({
    path,
    hello: { rid: "hello", hive: "node", bee: ["worker"], models: ["node"] },
    reconnect: false,
  });
  const asker = new thrum.ThrumClient({ path, reconnect: false });
  const registered = new Promise((resolve) => {
    worker.onAny(async (tone) => {
      if (tone.chi === thrum.Chi.echo) resolve();
      if (tone.chi !== thrum.Chi.prompt) return;
      const { sid } = tone;
      for (const delta of [...tone.content]) {
        await worker.send({ chi: thrum.Chi.chunk, sid, chunkType: "text_delta", delta });
      }
      await worker.send({ chi: thrum.Chi.finish, sid, finishReason: "end_turn" });
    });
  });
  await Promise.all([worker.connect(), asker.connect()]);
  const running = [worker.run(), asker.run()];
  await registered;
  let text = "";
  const finish = await new Promise((resolve) => {
    asker.on("turn-node", (tone) => {
      if (tone.chi === thrum.Chi.chunk) text += tone.delta;
      if (thrum.TERMINAL.has(tone.chi)) resolve(tone);
    });
    void asker.send({
      chi: thrum.Chi.prompt, rid: thrum.rid(), sid: "turn-node", modelId: "node", content: "Grüße ☕",
    });
  });
  worker.close();
  asker.close();
  await Promise.all(running);
  console.log(JSON.stringify({ text, finish }));
}

async function reconnect(path, hid) {
  const bee = new thrum.ThrumClient({ path, hello: { rid: "h", hive: "node", hid } });
  bee.onAny((tone) => {
    console.log(JSON.stringify(tone));
    if (tone.chi === thrum.Chi.finish) bee.close();
    if (tone.chi === thrum.Chi.breath) throw new Error("a handler that fails ends nothing");
  });
  await bee.send({ chi: thrum.Chi.prompt, rid: "kept", sid: "s" });
  await bee.send({ chi: thrum.Chi.prompt, sid: "s" }).catch(() => console.log('{"chi":"refused"}'));
  await bee.run();
  console.log(JSON.stringify({ chi: "over", unsettled: bee.unsettled }));
}

await { vectors, turn, reconnect }[what](...args);
