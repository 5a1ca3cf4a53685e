import { describe, expect, it } from 'vitest';
import { cors } from '../../../src/policies/cors.ts';
import { createLocalGuard, type LocalGuardOptions } from '../../../src/policies/localOnly.ts';
import { ask, type FakeRequest, fakeScope } from './fake-exchange.ts';

function asked(request: FakeRequest, options: Partial<LocalGuardOptions> = {}, answer?: () => Response) {
  return ask(createLocalGuard({ allowAnonymous: false, allowedHosts: [], originPatterns: [], ...options }), request, answer);
}

async function codeOf(request: FakeRequest, options: Partial<LocalGuardOptions> = {}): Promise<string> {
  const { code, reached, response } = await asked(request, options);
  expect(reached).toBe(code === undefined);
  expect(response.status).toBe(code === undefined ? 200 : 403);
  return code ?? 'passes';
}

describe('the peer', () => {
  it.each([
    ['127.0.0.1', 'passes'],
    ['127.8.9.10', 'passes'],
    ['::1', 'passes'],
    ['0:0:0:0:0:0:0:1', 'passes'],
    ['::ffff:127.0.0.1', 'passes'],
    ['::FFFF:7f00:1', 'passes'],
    ['192.168.1.7', 'foreign_client'],
    ['10.0.0.1', 'foreign_client'],
    ['::ffff:192.168.1.7', 'foreign_client'],
    ['fe80::1%eth0', 'foreign_client'],
    ['fd00::1', 'foreign_client'],
    ['::', 'foreign_client'],
    ['::2', 'foreign_client'],
    ['1270.0.0.1', 'foreign_client'],
    ['127.0.0.1.evil', 'foreign_client'],
    ['128.0.0.1', 'foreign_client'],
    ['', 'foreign_client'],
    [null, 'foreign_client'],
  ])('%s %s', async (address, expected) => {
    expect(await codeOf({ address })).toBe(expected);
  });

  it('may be anyone with --allow-anonymous', async () => {
    for (const address of ['192.168.1.7', null]) {
      expect(await codeOf({ address, host: '192.168.1.2:3000' }, { allowAnonymous: true })).toBe('passes');
    }
  });

  it('is told how to be let in', async () => {
    const { message } = await asked({ address: '192.168.1.7' });
    expect(message).toBe(
      'This route has no lock, so it serves programs on this machine only; this request came from 192.168.1.7. To open it: give the route an apiKey policy, set CORRAL_API_KEY, or start Corral with --allow-anonymous (CORRAL_ALLOW_ANONYMOUS=1)',
    );
  });
});

describe('a tunnel or proxy on the same machine', () => {
  it.each([
    'Forwarded',
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Forwarded-Proto',
    'X-Forwarded-Anything',
    'X-Real-IP',
    'CF-Connecting-IP',
    'CF-Ray',
    'Cf-Warp-Tag-Id',
    'CDN-Loop',
    'True-Client-IP',
    'Via',
    'ngrok-skip-browser-warning',
    'Tailscale-User-Login',
    'Fly-Client-IP',
    'X-Client-IP',
  ])('is recognised by %s', async (name) => {
    expect(await codeOf({ headers: { [name]: '1' } })).toBe('foreign_client');
    expect(await codeOf({ headers: { [name]: '1' } }, { allowAnonymous: true })).toBe('passes');
  });

  it.each(['x-stainless-os', 'content-type', 'cookie', 'user-agent', 'traceparent', 'x-request-id', 'x-title', 'cache-control'])(
    'is not suspected for %s',
    async (name) => {
      expect(await codeOf({ headers: { [name]: '1' } })).toBe('passes');
    },
  );

  it('that adds no header is still given away by the Host it was asked for', async () => {
    expect(await codeOf({ host: 'x.trycloudflare.com' })).toBe('foreign_host');
  });
});

describe('the Host', () => {
  // Those that Ollama's recordings hold are judged as Ollama did, `[::1]` without a port apart.
  it.each([
    ['localhost', 'passes'],
    ['localhost:11434', 'passes'],
    ['localhost:80', 'passes'],
    ['LOCALHOST', 'passes'],
    ['', 'passes'],
    ['a.localhost', 'passes'],
    ['mybox.local', 'passes'],
    ['host.docker.internal:11434', 'passes'],
    ['127.0.0.1:3000', 'passes'],
    ['127.1.2.3', 'passes'],
    ['[::1]:11434', 'passes'],
    ['[::1]', 'passes'],
    ['[::ffff:127.0.0.1]:3000', 'passes'],
    ['0.0.0.0:11434', 'passes'],
    ['[::]:3000', 'passes'],
    ['10.1.2.3', 'passes'],
    ['172.16.0.1', 'passes'],
    ['172.31.255.255:3000', 'passes'],
    ['192.168.178.20:3000', 'passes'],
    ['[fd12:3456::1]:3000', 'passes'],
    ['localhost.', 'foreign_host'],
    ['ollama', 'foreign_host'],
    ['8.8.8.8', 'foreign_host'],
    ['172.32.0.1', 'foreign_host'],
    ['172.15.0.1', 'foreign_host'],
    ['192.169.0.1', 'foreign_host'],
    ['169.254.1.1', 'foreign_host'],
    ['100.100.1.2', 'foreign_host'],
    ['[2001:db8::1]', 'foreign_host'],
    ['010.0.0.1', 'foreign_host'],
    ['10.0.0.1.evil.example', 'foreign_host'],
    ['localhost.evil.example', 'foreign_host'],
    ['evillocalhost', 'foreign_host'],
    ['notlocal', 'foreign_host'],
    ['box.tail1234.ts.net', 'foreign_host'],
    ['abcd.ngrok-free.app', 'foreign_host'],
    ['ollama.example.com', 'foreign_host'],
  ])('%s %s', async (host, expected) => {
    expect(await codeOf({ host })).toBe(expected);
    // DNS rebinding works against machines on a LAN just so.
    expect(await codeOf({ host }, { allowAnonymous: true })).toBe(expected);
  });

  it('may be named with --allow-host, with or without port, or as *.name', async () => {
    const allowedHosts = ['Ollama.example.com:443', '*.ts.net', 'box', '2001:db8::1'];
    for (const host of [
      'ollama.example.com',
      'OLLAMA.example.com:8080',
      'box.tail1234.ts.net',
      'box:3000',
      '[2001:db8::1]:3000',
    ]) {
      expect(await codeOf({ host }, { allowedHosts })).toBe('passes');
    }
    for (const host of ['example.com', 'a.ollama.example.com', 'ts.net', 'xts.net', 'boxes']) {
      expect(await codeOf({ host }, { allowedHosts })).toBe('foreign_host');
    }
  });

  it('of a rebinding page is foreign even though page and Host agree', async () => {
    const { code, message } = await asked({ host: 'evil.example:3000', headers: { origin: 'http://evil.example:3000' } });
    expect(code).toBe('foreign_host');
    expect(message).toContain('--allow-host evil.example');
    expect(message).toContain('this request asked for the host "evil.example"');
  });

  it('is repeated in part only, however long', async () => {
    const { message } = await asked({ host: `${'a'.repeat(1_000)}.example` });
    expect(message.length).toBeLessThan(700);
  });
});

describe('the Origin', () => {
  const from = (origin: string, host = '127.0.0.1:11434'): FakeRequest => ({ method: 'POST', host, headers: { origin } });

  it.each([
    ['http://localhost:3000', 'passes'],
    ['https://localhost', 'passes'],
    ['http://127.0.0.1:9999', 'passes'],
    ['http://0.0.0.0:1', 'passes'],
    ['app://obsidian.md', 'passes'],
    ['file://', 'passes'],
    ['tauri://localhost', 'passes'],
    ['vscode-webview://1abc', 'passes'],
    ['vscode-file://vscode-app', 'passes'],
    ['http://127.0.0.1:11434', 'passes'],
    ['HTTP://LOCALHOST:3000', 'passes'],
    ['null', 'foreign_origin'],
    ['https://evil.example', 'foreign_origin'],
    ['http://[::1]:3000', 'foreign_origin'],
    ['chrome-extension://abcdef', 'foreign_origin'],
    ['http://localhost.evil.example', 'foreign_origin'],
    ['http://localhostx', 'foreign_origin'],
    ['http://127.0.0.1.evil.example', 'foreign_origin'],
    ['http://192.168.1.9:3000', 'foreign_origin'],
    ['http://mybox.local', 'foreign_origin'],
    ['', 'foreign_origin'],
  ])('%s %s', async (origin, expected) => {
    expect(await codeOf(from(origin))).toBe(expected);
    expect(await codeOf(from(origin), { allowAnonymous: true })).toBe(expected);
  });

  it('of a foreign page that posts text/plain, so that no preflight is asked, is refused', async () => {
    const { code, reached, response, message } = await asked({
      method: 'POST',
      path: '/v1/chat/completions',
      headers: { origin: 'https://evil.example', 'content-type': 'text/plain' },
    });
    expect(code).toBe('foreign_origin');
    expect(reached).toBe(false);
    expect(response.headers.has('access-control-allow-origin')).toBe(false);
    expect(message).toContain('OLLAMA_ORIGINS');
    expect(message).toContain('"https://evil.example"');
  });

  it('is that of the page which the address itself serves', async () => {
    expect(await codeOf(from('http://192.168.1.2:3000', '192.168.1.2:3000'), { allowAnonymous: true })).toBe('passes');
    expect(await codeOf(from('https://192.168.1.2:3000', '192.168.1.2:3000'))).toBe('passes');
    expect(await codeOf(from('http://192.168.1.2:4000', '192.168.1.2:3000'))).toBe('foreign_origin');
    const { response } = await asked(from('http://localhost:3000', 'localhost:3000'));
    expect(response.headers.has('access-control-allow-origin')).toBe(false);
  });

  it.each([
    ['https://app.example.com', 'https://app.example.com', true],
    ['https://app.example.com', 'https://app.example.com:8443', false],
    ['https://*.corp.example', 'https://x.corp.example', true],
    ['https://*.corp.example', 'https://corp.example', false],
    ['https://*.corp.example', 'https://x.corp.example.evil', false],
    ['chrome-extension://*', 'chrome-extension://abcdef', true],
    [' https://Spaced.example ', 'https://spaced.example', true],
    ['*', 'https://anything', true],
    ['*', 'null', true],
  ])('may be named in OLLAMA_ORIGINS: %s lets %s: %s', async (pattern, origin, allowed) => {
    expect(await codeOf(from(origin), { originPatterns: [pattern] })).toBe(allowed ? 'passes' : 'foreign_origin');
  });
});

describe('CORS as Ollama answers it', () => {
  const preflight = (origin: string): FakeRequest => ({
    method: 'OPTIONS',
    path: '/api/chat',
    host: '127.0.0.1:11434',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' },
  });

  it('answers a preflight', async () => {
    const { response, reached } = await asked(preflight('http://localhost:3000'));
    expect(response.status).toBe(204);
    expect(reached).toBe(false);
    expect(Object.fromEntries(response.headers)).toEqual({
      'access-control-allow-origin': 'http://localhost:3000',
      'access-control-allow-methods': 'GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS',
      'access-control-allow-headers':
        'Authorization,Content-Type,User-Agent,Accept,X-Requested-With,OpenAI-Beta,X-Stainless-Arch,X-Stainless-Async,X-Stainless-Custom-Poll-Interval,X-Stainless-Helper-Method,X-Stainless-Lang,X-Stainless-OS,X-Stainless-Package-Version,X-Stainless-Poll-Helper,X-Stainless-Retry-Count,X-Stainless-Runtime,X-Stainless-Runtime-Version,X-Stainless-Timeout,X-Api-Key,Anthropic-Version,Anthropic-Beta,Anthropic-Dangerous-Direct-Browser-Access',
      'access-control-max-age': '43200',
      vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
    });
  });

  it('refuses a foreign preflight', async () => {
    expect((await asked(preflight('https://evil.example'))).response.status).toBe(403);
  });

  it('opens the answers to allowed pages, errors included', async () => {
    const failing = () => new Response('no', { status: 404, headers: { 'access-control-allow-origin': 'http://upstream' } });
    const { response } = await asked({ headers: { origin: 'http://localhost:5173' } }, {}, failing);
    expect(response.headers.get('access-control-allow-origin')).toBe('http://localhost:5173');
    expect(response.headers.get('vary')).toBe('Origin');
  });

  it('says "*" where OLLAMA_ORIGINS does', async () => {
    const open = { originPatterns: ['*'] };
    expect((await asked(preflight('https://evil.example'), open)).response.headers.get('access-control-allow-origin')).toBe('*');
    const { response } = await asked({ headers: { origin: 'https://evil.example' } }, open);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
  });

  it('edits the answer in place', async () => {
    const answer = new Response('body');
    expect((await asked({ headers: { origin: 'http://localhost:5173' } }, {}, () => answer)).response).toBe(answer);
  });

  it('leaves the pages of a cors policy to that policy', async () => {
    const allowOrigins = ['https://*.corp.example'];
    const guard = createLocalGuard({ allowAnonymous: false, allowedHosts: [], originPatterns: [], corsOrigins: allowOrigins });
    const options = cors.options.parse({ allowOrigins, allowMethods: ['GET'] });
    const policy = cors.onRequest?.(options, fakeScope());
    if (policy === undefined) throw new Error('no middleware');
    const { response } = await ask([guard, policy], preflight('https://x.corp.example'));
    expect(response.status).toBe(200);
    expect(response.headers.get('access-control-allow-methods')).toBe('GET');
    const simple = await ask([guard, policy], { headers: { origin: 'https://x.corp.example' } });
    expect(simple.response.headers.get('access-control-allow-origin')).toBe('https://x.corp.example');
    expect((await ask([guard, policy], { headers: { origin: 'https://evil.example' } })).code).toBe('foreign_origin');
    const builtIn = await ask([guard, policy], preflight('http://localhost:3000'));
    expect(builtIn.response.status).toBe(204);
    const page = await ask([guard, policy], { host: '127.0.0.1', headers: { origin: 'http://localhost:3000' } });
    expect(page.response.headers.get('access-control-allow-origin')).toBe('http://localhost:3000');
  });
});
