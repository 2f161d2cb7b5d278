// A client of lnd as Node programs are: everything goes through the npm package `lightning`.
//
//   node client.js < PLACES
//
// PLACES is JSON: for alice, bob, carol and dave their socket, cert, macaroon (base64) and public_key.
// It prints one line of JSON: [[what was asked, what the library gave], ...]. A refusal is an answer
// too; only what the library cannot read ends the program.
const { createHash } = require('crypto');
const { once } = require('events');
const ln = require('lightning');

const HOLD_MS = 20000;
const KEYSEND = '5482373484';
const RECORD = '70001';
const answers = [];

const sha256 = hex => createHash('sha256').update(Buffer.from(hex, 'hex')).digest('hex');
const secretOf = name => createHash('sha256').update(`node/${name}`).digest('hex');
const idOf = name => sha256(secretOf(name));

// One question: what it gave, or the library's [code, name, {err}] with lnd's own words.
async function ask(name, question) {
  const answer = await question().catch(refused);
  answers.push([name, answer]);
  return answer;
}

function refused(error) {
  if (!Array.isArray(error)) throw error;
  const [code, text, more] = error;
  return { refused: [code, text, more && more.err ? more.err.details || String(more.err) : undefined] };
}

// What a subscription emits, by the names given, until `enough` says so.
function follow(name, emitter, events, enough) {
  const seen = [];
  answers.push([name, seen]);
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${name}: after ${HOLD_MS} ms only ${JSON.stringify(seen)}`)), HOLD_MS);
    const finish = () => {
      clearTimeout(late);
      emitter.removeAllListeners();
      resolve();
    };
    events.forEach(event => emitter.on(event, value => {
      seen.push([event, value]);
      if (enough(seen)) finish();
    }));
    emitter.on('error', error => {
      seen.push(['error', refused(error)]);
      finish();
    });
  });
}

const any = () => true;
const atLeast = count => seen => seen.length >= count;
const last = name => seen => seen[seen.length - 1][0] === name;

async function looks(nodes, places) {
  const { alice, dave } = nodes;
  const { socket, cert } = places.alice;
  const { lnd: stranger } = ln.unauthenticatedLndGrpc({ socket, cert });
  await ask('getWalletStatus', () => ln.getWalletStatus({ lnd: stranger }));
  await follow('subscribeToWalletStatus', ln.subscribeToWalletStatus({ lnd: stranger }), ['active', 'ready'], any);
  await ask('getWalletVersion', () => ln.getWalletVersion({ lnd: alice }));
  await ask('getWalletInfo', () => ln.getWalletInfo({ lnd: alice }));
  await ask('getIdentity', () => ln.getIdentity({ lnd: alice }));
  await ask('getHeight', () => ln.getHeight({ lnd: alice }));
  await ask('getChannelBalance', () => ln.getChannelBalance({ lnd: alice }));
  await ask('getChainBalance', () => ln.getChainBalance({ lnd: alice }));
  await ask('getChannels', () => ln.getChannels({ lnd: alice }));
  await ask('getChannels, active ones of bob', () => ln.getChannels({ lnd: alice, is_active: true, partner_public_key: places.bob.public_key }));
  await ask('getChannels of dave', () => ln.getChannels({ lnd: dave }));
  await ask('getPendingChannels', () => ln.getPendingChannels({ lnd: alice }));
  await ask('getClosedChannels', () => ln.getClosedChannels({ lnd: alice }));
  await ask('getPeers', () => ln.getPeers({ lnd: alice }));
  await graph(nodes, places);
}

async function graph({ alice, bob }, places) {
  const carol = places.carol.public_key;
  await ask('getNode', () => ln.getNode({ lnd: alice, public_key: places.bob.public_key }));
  await ask('getNode of nobody', () => ln.getNode({ lnd: alice, public_key: `02${'11'.repeat(32)}` }));
  await ask('getNetworkGraph', () => ln.getNetworkGraph({ lnd: alice }));
  const { channels } = await ln.getChannels({ lnd: bob, partner_public_key: carol });
  await ask('getChannel', () => ln.getChannel({ lnd: alice, id: channels[0].id }));
  await ask('getRouteToDestination', () => ln.getRouteToDestination({ lnd: alice, destination: carol, tokens: 100 }));
  await ask('getRouteToDestination, none', () => ln.getRouteToDestination({ lnd: alice, destination: carol, tokens: 90000000 }));
}

async function invoices({ alice, bob, dave }) {
  const events = follow('subscribeToInvoices', ln.subscribeToInvoices({ lnd: bob }), ['invoice_updated'], atLeast(4));
  await ask('getInvoices, none', () => ln.getInvoices({ lnd: bob }));
  await ask('getInvoice, none', () => ln.getInvoice({ lnd: bob, id: idOf('nothing') }));
  const secret = secretOf('tea');
  const tea = await ask('createInvoice', () => ln.createInvoice({ lnd: bob, secret, tokens: 7, description: 'tea' }));
  await ask('createInvoice again', () => ln.createInvoice({ lnd: bob, secret, tokens: 7 }));
  await ask('getInvoice', () => ln.getInvoice({ lnd: bob, id: tea.id }));
  await ask('decodePaymentRequest', () => ln.decodePaymentRequest({ lnd: alice, request: tea.request }));
  await ask('decodePaymentRequest of nonsense', () => ln.decodePaymentRequest({ lnd: alice, request: 'lnbcrt1nonsense' }));
  const paid = await ask('pay', () => ln.pay({ lnd: alice, request: tea.request }));
  await ask('pay again', () => ln.pay({ lnd: alice, request: tea.request }));
  await ask('getInvoice, paid', () => ln.getInvoice({ lnd: bob, id: paid.id }));
  await ask('createInvoice, any amount', () => ln.createInvoice({ lnd: bob, secret: secretOf('any'), mtokens: '0', is_including_private_channels: true }));
  const open = await ln.getInvoice({ lnd: bob, id: idOf('any') });
  await ask('payViaPaymentRequest', () => ln.payViaPaymentRequest({ lnd: alice, request: open.request, mtokens: '2500', max_fee_mtokens: '1000' }));
  await events;
  const sips = await ask('createInvoice, private', () => ln.createInvoice({
    lnd: dave, secret: secretOf('private'), mtokens: '1234', description_hash: sha256('00'), is_including_private_channels: true,
  }));
  await ask('decodePaymentRequest, private', () => ln.decodePaymentRequest({ lnd: alice, request: sips.request }));
  const paying = ln.subscribeToPayViaRequest({ lnd: alice, request: sips.request, max_fee: 5, pathfinding_timeout: 10000 });
  await follow('subscribeToPayViaRequest', paying, ['paying', 'confirmed', 'failed', 'routing_failure'], last('confirmed'));
}

async function held({ alice, bob }) {
  const id = idOf('held');
  const made = await ask('createHodlInvoice', () => ln.createHodlInvoice({ lnd: bob, id, tokens: 9, cltv_delta: 40 }));
  const watching = ln.subscribeToInvoice({ lnd: bob, id });
  const states = follow('subscribeToInvoice', watching, ['invoice_updated'], atLeast(3));
  await once(watching, 'invoice_updated');
  const paid = ln.pay({ lnd: alice, request: made.request });
  await once(watching, 'invoice_updated');
  await ask('getPendingPayments', () => ln.getPendingPayments({ lnd: alice }));
  await ask('settleHodlInvoice', () => ln.settleHodlInvoice({ lnd: bob, secret: secretOf('held') }));
  await ask('pay, held', () => paid);
  await states;
  const dropped = await ln.createHodlInvoice({ lnd: bob, id: idOf('dropped'), tokens: 9 });
  await ask('cancelHodlInvoice', () => ln.cancelHodlInvoice({ lnd: bob, id: dropped.id }));
  await ask('pay, canceled', () => ln.pay({ lnd: alice, request: dropped.request }));
}

function keysend(name, destination, more = {}) {
  const messages = [{ type: KEYSEND, value: secretOf(name) }, { type: RECORD, value: Buffer.from('hello').toString('hex') }];
  return { destination, id: idOf(name), messages, tokens: 3, max_fee_mtokens: '5000', ...more };
}

async function keysends({ alice, bob, carol }, places) {
  const [toBob, toCarol, toDave] = ['bob', 'carol', 'dave'].map(name => places[name].public_key);
  await ask('payViaPaymentDetails', () => ln.payViaPaymentDetails({ lnd: alice, ...keysend('direct', toBob) }));
  await ask('payViaPaymentDetails again', () => ln.payViaPaymentDetails({ lnd: alice, ...keysend('direct', toBob) }));
  await ask('payViaPaymentDetails, two hops', () => ln.payViaPaymentDetails({ lnd: alice, ...keysend('far', toCarol) }));
  await ask('payViaPaymentDetails, no fee', () => ln.payViaPaymentDetails({ lnd: alice, ...keysend('free', toCarol, { max_fee_mtokens: '0' }) }));
  await ask('payViaPaymentDetails, too much', () => ln.payViaPaymentDetails({ lnd: alice, ...keysend('much', toBob, { tokens: 90000000 }) }));
  await ask('payViaPaymentDetails, nobody', () => ln.payViaPaymentDetails({ lnd: alice, ...keysend('nobody', `02${'11'.repeat(32)}`) }));
  const { channels } = await ln.getChannels({ lnd: alice });
  const second = channels.map(channel => channel.id).sort()[1];
  const out = keysend('out', toBob, { outgoing_channel: second });
  await ask('payViaPaymentDetails, outgoing_channel', () => ln.payViaPaymentDetails({ lnd: alice, ...out }));
  const { request } = await ln.createInvoice({ lnd: bob, secret: secretOf('way'), tokens: 8 });
  await ask('pay, outgoing_channels', () => ln.pay({ lnd: alice, request, outgoing_channels: [second] }));
  const { current_block_height } = await ln.getHeight({ lnd: alice });
  const near = { max_timeout_height: current_block_height + 60 };
  await ask('payViaPaymentDetails, soon', () => ln.payViaPaymentDetails({ lnd: alice, ...keysend('soon', toCarol, near) }));
  const refusing = ln.subscribeToPayViaDetails({ lnd: bob, ...keysend('deaf', toDave) });
  await follow('subscribeToPayViaDetails', refusing, ['paying', 'confirmed', 'failed', 'routing_failure'], last('failed'));
  await ask('getInvoice of a keysend', () => ln.getInvoice({ lnd: carol, id: idOf('far') }));
}

async function history({ alice, bob }, places) {
  for (const name of ['far', 'free', 'nothing']) {
    const past = ln.subscribeToPastPayment({ lnd: alice, id: idOf(name) });
    await follow(`subscribeToPastPayment ${name}`, past, ['confirmed', 'failed', 'paying'], any);
    await ask(`getPayment ${name}`, () => ln.getPayment({ lnd: alice, id: idOf(name) }));
  }
  let token;
  do {
    const page = await ask('getPayments', () => ln.getPayments(token ? { lnd: alice, token } : { lnd: alice, limit: 3 }));
    token = page.next;
  } while (token);
  await ask('getFailedPayments', () => ln.getFailedPayments({ lnd: alice }));
  do {
    const page = await ask('getInvoices', () => ln.getInvoices(token ? { lnd: bob, token } : { lnd: bob, limit: 2 }));
    token = page.next;
  } while (token);
  await ask('getInvoices, open', () => ln.getInvoices({ lnd: bob, is_unconfirmed: true }));
  await ask('deletePayment', () => ln.deletePayment({ lnd: alice, id: idOf('far') }));
  await ask('deletePayment again', () => ln.deletePayment({ lnd: alice, id: idOf('far') }));
  await ask('deletePayments', () => ln.deletePayments({ lnd: alice }));
  await ask('getPayments, none', () => ln.getPayments({ lnd: alice }));
  const route = { lnd: alice, destination: places.carol.public_key, tokens: 100 };
  await ask('isDestinationPayable', () => ln.isDestinationPayable(route));
  await ask('getRouteToDestination, tried', () => ln.getRouteToDestination(route));
  await ask('getRouteToDestination, more than tried', () => ln.getRouteToDestination({ ...route, tokens: 101 }));
}

async function credentials({ alice }, places) {
  const { socket, cert } = places.alice;
  const granted = await ask('grantAccess', () => ln.grantAccess({ lnd: alice, permissions: ['info:read', 'invoices:write'] }));
  const { lnd: less } = ln.authenticatedLndGrpc({ socket, cert, macaroon: granted.macaroon });
  await ask('less: getWalletInfo', () => ln.getWalletInfo({ lnd: less }));
  await ask('less: getChannels', () => ln.getChannels({ lnd: less }));
  await ask('less: getPayments', () => ln.getPayments({ lnd: less }));
  await ask('less: grantAccess', () => ln.grantAccess({ lnd: less, is_ok_to_get_wallet_info: true }));
  await ask('less: payViaPaymentDetails', () => ln.payViaPaymentDetails({ lnd: less, ...keysend('less', places.bob.public_key) }));
  const one = await ask('grantAccess, one method', () => ln.grantAccess({ lnd: alice, methods: ['getChannels'] }));
  const { lnd: narrow } = ln.authenticatedLndGrpc({ socket, cert, macaroon: one.macaroon });
  await ask('narrow: getChannels', () => ln.getChannels({ lnd: narrow }));
  await ask('narrow: getWalletInfo', () => ln.getWalletInfo({ lnd: narrow }));
  const { lnd: foreign } = ln.authenticatedLndGrpc({ socket, cert, macaroon: places.bob.macaroon });
  await ask('foreign: getWalletInfo', () => ln.getWalletInfo({ lnd: foreign }));
  const { lnd: broken } = ln.authenticatedLndGrpc({ socket, cert, macaroon: '00' });
  await ask('broken: getWalletInfo', () => ln.getWalletInfo({ lnd: broken }));
}

async function main() {
  const places = JSON.parse(require('fs').readFileSync(0));
  const nodes = {};
  for (const [name, { socket, cert, macaroon }] of Object.entries(places)) {
    nodes[name] = ln.authenticatedLndGrpc({ socket, cert, macaroon }).lnd;
  }
  for (const chapter of [looks, invoices, held, keysends, history, credentials]) await chapter(nodes, places);
  // subscriptions of the library try again for ever: nothing else would end the program
  process.stdout.write(`${JSON.stringify(answers)}\n`, () => process.exit(0));
}

main().catch(error => {
  console.error(error);
  process.exit(1);
});
