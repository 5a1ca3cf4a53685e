import { describe, expect, it } from 'vitest';
import { tunnelFault } from '../../../../src/fleet/asking/tunnels.ts';

const page = (number: number, words: string) =>
  `<!DOCTYPE html><html><head><title>desk.example.com | ${number}: ${words}</title></head><body>Cloudflare Ray ID</body></html>`;

describe('T2: pages of tunnels', () => {
  it.each([
    [524, 'error code: 524', 504, /100 s/, /corral --relay/],
    [524, page(524, 'A timeout occurred'), 504, /100 s/, /corral --relay/],
    [522, 'error code: 522', 503, /did not accept/, /asleep/],
    [523, '', 503, /cannot reach/, /DNS record/],
    [521, '', 503, /refused/, /OLLAMA_HOST=0\.0\.0\.0/],
    [525, '', 503, /TLS handshake/, /plain HTTP/],
    [530, 'error code: 1033', 503, /cloudflared is not connected/, /cloudflared tunnel run/],
    [
      530,
      '<title>Cloudflare Tunnel error</title><h1>Error 1033</h1>',
      503,
      /cloudflared is not connected/,
      /cloudflared tunnel run/,
    ],
    [530, 'error code: 1016', 503, /cannot resolve/, /DNS record/],
    [530, '', 503, /find the way/, /1033/],
    [527, '', 503, /in the place of desk \(527\)/, /tunnel/],
    [502, page(502, 'Bad gateway'), 503, /does not reach Ollama/, /service:/],
    [404, 'The endpoint is offline. ERR_NGROK_3200', 503, /not connected/, /ngrok http 11434/],
    [502, '<html>ERR_NGROK_8012</html>', 503, /does not reach Ollama/, /port/],
    [429, 'ERR_NGROK_734', 503, /ERR_NGROK_734/, /err_ngrok_734/],
  ] as const)('%i %s', (status, text, told, why, mend) => {
    const fault = tunnelFault(status, text, 'desk');
    expect(fault?.status).toBe(told);
    expect(fault?.advice.why).toMatch(why);
    expect(fault?.advice.why).toContain('desk');
    expect(fault?.advice.mend).toMatch(mend);
  });

  it.each([
    [200, 'ERR_NGROK_3200'],
    [500, '{"error":"x"}'],
    [502, '{"error":"x"}'],
    [503, 'cloudflare'],
    [504, ''],
    [403, ''],
  ])('%i %s is none', (status, text) => {
    expect(tunnelFault(status, text, 'desk')).toBeUndefined();
  });

  it('looks into pages only so far', () => {
    expect(tunnelFault(404, `${'x'.repeat(70_000)}ERR_NGROK_3200`, 'desk')).toBeUndefined();
  });
});
