// Two providers of identities for the tests: oauth2-mock-server, which speaks OpenID Connect, and what GitHub
// answers by its API. Each line of the input is what is said of whoever signs in next.
import { createServer } from 'node:http';
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { OAuth2Server } from 'oauth2-mock-server';

let next = {};
const openid = new OAuth2Server();
await openid.issuer.keys.generate('RS256');
await openid.start(0, '127.0.0.1');
openid.issuer.url = `http://127.0.0.1:${openid.address().port}`;
openid.service.on('beforeTokenSigning', (token) => Object.assign(token.payload, next.claims));
openid.service.on('beforeUserinfo', (answer) => { answer.body = next.userinfo ?? answer.body; });

const challenges = new Map();
const github = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://127.0.0.1');
  const json = (value) => response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
  if (url.pathname === '/login/oauth/authorize') {
    challenges.set('c0de', url.searchParams.get('code_challenge'));
    const back = new URL(url.searchParams.get('redirect_uri'));
    back.searchParams.set('code', 'c0de');
    back.searchParams.set('state', url.searchParams.get('state'));
    response.writeHead(302, { location: back.href }).end();
  } else if (url.pathname === '/login/oauth/access_token') {
    let body = '';
    for await (const chunk of request) body += chunk;
    const form = new URLSearchParams(body);
    const hash = createHash('sha256').update(form.get('code_verifier')).digest('base64url');
    const right = form.get('client_secret') === 'secret' && challenges.get(form.get('code')) === hash;
    json(right ? { access_token: 'gh', token_type: 'bearer' } : { error: 'bad_verification_code' });
  } else if (request.headers.authorization !== 'Bearer gh') {
    response.writeHead(401).end();
  } else {
    json(url.pathname === '/api/v3/user' ? next.user : next.emails);
  }
});
await new Promise((started) => github.listen(0, '127.0.0.1', started));

console.log(JSON.stringify({ openid: openid.issuer.url, github: `http://127.0.0.1:${github.address().port}` }));
for await (const line of createInterface({ input: process.stdin })) {
  next = JSON.parse(line);
  console.log('{}');
}
process.exit(0);
