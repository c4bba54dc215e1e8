// The conversation of conversation.txt, spoken by mqtt of npm.
//
//     node with_mqtt.js tcp|tls|ws 3.1.1|5 HOST PORT [AUTHORITY]
//
// It prints what it sees; `tests/tests/stock_clients.rs` compares. Whatever does not come in time ends it with an error.
'use strict';

const fs = require('node:fs');
const mqtt = require('mqtt');

const PATIENCE = 30_000;
const [transport, version, host, port, authority] = process.argv.slice(2);
const v5 = version === '5';
const yes = (is) => (is ? 'yes' : 'no');

process.on('unhandledRejection', (error) => {
  console.error(error);
  process.exit(1);
});

function within(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not in time: ${what}`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// A client that waits for each answer.
class Client {
  static async connect(name, { persistent = false, will } = {}) {
    const self = new Client();
    const url = { tcp: `mqtt://${host}:${port}`, tls: `mqtts://${host}:${port}`, ws: `ws://${host}:${port}/mqtt` };
    self.client = mqtt.connect(url[transport], {
      clientId: name,
      clean: !persistent,
      protocolVersion: v5 ? 5 : 4,
      reconnectPeriod: 0,
      resubscribe: false,
      ca: authority ? fs.readFileSync(authority) : undefined,
      properties: v5 ? { sessionExpiryInterval: persistent ? 60 : 0 } : undefined,
      will: will ? { topic: will, payload: Buffer.from('gone'), qos: 1, retain: false } : undefined,
    });
    self.came = [];
    self.waiting = [];
    self.client.on('message', (topic, payload, packet) => {
      const next = self.waiting.shift();
      if (next) next(packet);
      else self.came.push(packet);
    });
    const connack = new Promise((resolve, reject) => {
      self.client.on('connect', resolve);
      self.client.on('error', reject);
    });
    self.present = (await within('CONNACK', connack)).sessionPresent;
    return self;
  }

  async subscribe(topic, qos) {
    const granted = await within('SUBACK', this.client.subscribeAsync(topic, { qos }));
    return granted.map((one) => one.qos);
  }

  unsubscribe(topic) {
    return within('UNSUBACK', this.client.unsubscribeAsync(topic));
  }

  publish(topic, payload, qos, options = {}) {
    return within('acknowledgement', this.client.publishAsync(topic, payload, { qos, ...options }));
  }

  message() {
    if (this.came.length > 0) return Promise.resolve(this.came.shift());
    return within('message', new Promise((resolve) => this.waiting.push(resolve)));
  }

  async shown(what) {
    const m = await this.message();
    return `${what}: ${m.topic} qos=${m.qos} retained=${yes(m.retain)} ${m.payload}`;
  }

  async show(what) {
    console.log(await this.shown(what));
  }

  leave() {
    return within('end', this.client.endAsync());
  }
}

async function everyQos(one) {
  console.log('granted:', ...(await one.subscribe('all/#', 2)));
  for (const qos of [0, 1, 2]) {
    await one.publish(`all/${qos}`, `hello ${qos}`, qos);
    await one.show('message');
  }
  await one.publish('all/large', 'x'.repeat(100_000), 2);
  console.log('large:', (await one.message()).payload.length);
}

async function retained(one) {
  const retain = { retain: true };
  await one.publish('kept/a', 'first', 1, retain);
  await one.publish('kept/a', 'last', 2, retain);
  await one.publish('kept/b', 'gone', 1, retain);
  await one.publish('kept/b', '', 1, retain);
  await one.subscribe('kept/#', 1);
  await one.show('retained');
  await one.publish('kept/end', 'not retained', 0);
  await one.show('then');
  await one.unsubscribe('kept/#');
  await one.publish('kept/a', '', 1, retain);
}

async function will(one) {
  const willing = await Client.connect('willing', { will: 'all/will' });
  willing.client.stream.destroy();
  await one.show('will');
}

async function session(one) {
  let away = await Client.connect('away', { persistent: true });
  console.log('session:', yes(away.present));
  await away.subscribe('away/#', 2);
  await away.leave();
  for (const [number, qos] of [1, 2, 1].entries()) await one.publish('away/x', `${number}`, qos);
  away = await Client.connect('away', { persistent: true });
  console.log('session:', yes(away.present));
  const waited = [await away.shown('waited'), await away.shown('waited'), await away.shown('waited')];
  // A message with QoS 2 takes one round trip more until it is shown.
  console.log(waited.sort((a, b) => a.at(-1).localeCompare(b.at(-1))).join('\n'));
  await away.leave();
}

async function shared(one) {
  const both = [await Client.connect('worker a'), await Client.connect('worker b')];
  for (const worker of both) await worker.subscribe('$share/workers/work', 1);
  for (let i = 0; i < 10; i += 1) await one.publish('work', String(i), 1);
  const numbers = [];
  for (const worker of both) {
    for (let i = 0; i < 5; i += 1) numbers.push(Number((await worker.message()).payload));
  }
  console.log('shared:', ...numbers.sort());
  for (const worker of both) await worker.leave();
}

async function properties(one) {
  await one.publish('all/properties', 'rich', 1, {
    properties: {
      userProperties: { name: 'value' },
      contentType: 'text/plain',
      responseTopic: 'answer',
      correlationData: Buffer.from('7'),
      messageExpiryInterval: 100,
    },
  });
  const got = (await one.message()).properties;
  const expiry = got.messageExpiryInterval > 0 && got.messageExpiryInterval <= 100;
  const user = Object.entries({ ...got.userProperties }).filter(([name]) => !name.startsWith('stile-'));
  const rest = [got.contentType, got.responseTopic, String(got.correlationData), ...user[0]];
  console.log('properties:', ...rest, expiry ? 'expires' : got);
}

async function main() {
  const one = await Client.connect('one');
  console.log('session:', yes(one.present));
  for (const part of [everyQos, retained, will, session, shared]) await part(one);
  if (v5) await properties(one);
  await one.leave();
  console.log('done');
}

main();
