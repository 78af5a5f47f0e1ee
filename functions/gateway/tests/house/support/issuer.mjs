// An issuer of tokens for the tests, on oauth2-mock-server. Each line of the input is what the next token says, or asks
// for another key; each line of the output has the token.
import { createInterface } from 'node:readline';
import { OAuth2Server } from 'oauth2-mock-server';

const server = new OAuth2Server();
let key = await server.issuer.keys.generate('RS256');
await server.start(0, '127.0.0.1');
server.issuer.url = `http://127.0.0.1:${server.address().port}`;

console.log(JSON.stringify({ issuer: server.issuer.url }));
for await (const line of createInterface({ input: process.stdin })) {
  const { rotate, claims } = JSON.parse(line);
  if (rotate) key = await server.issuer.keys.generate('RS256');
  const say = (_, payload) => Object.assign(payload, claims, { auth_time: payload.iat });
  const token = await server.issuer.buildToken({ kid: key.kid, scopesOrTransform: say });
  console.log(JSON.stringify({ token }));
}
process.exit(0);
