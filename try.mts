import { installation, execute } from './src/operations/index.ts'
const context = installation()
for (let k = 0; k < 2; k++) {
const it = execute(context, 'createPlatform', { topology: 'dense-8-nic', name: 'x' + k })
let t = performance.now(), n = 0; const steps: [number, number][] = []
for (;;) { const s = it.next(); const e = performance.now(); steps.push([e - t, n++]); t = e; if (s.done) break }
console.log('steps', n, 'total', steps.reduce((a, [d]) => a + d, 0), steps.sort((a, b) => b[0] - a[0]).slice(0, 6))
}
{ const p = context.platforms.get('x0').running; let t = performance.now(); p.stateHash(); console.log('hash', performance.now() - t); t = performance.now(); const it = execute(context, 'functions', {platform: 'x0'}); const r = it.next(); console.log('functions', (r.value as unknown[]).length, performance.now() - t) }
