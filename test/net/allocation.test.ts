import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'

/** Bytes per frame of the worst way, measured in a process of its own, where no other test has taught the compiler. */
function allocated(): number {
  const script = `
    import { allWays, heapPerFrame } from './bench/nic/ways.ts'
    console.log(Math.max(...heapPerFrame(allWays(), 20_000).values()))`
  const flags = ['--input-type=module', '--eval', script]
  return Number(execFileSync(process.execPath, flags, { encoding: 'utf8' }))
}

// A number above 2^31 takes 16 bytes when it is boxed, a view of an array about 100.
test('a frame leaves nothing on the heap, from the wire, to the wire, or from one pool to another', () => {
  let bytes = allocated()
  // What else the process does in the meantime only adds: a bad count is taken again.
  for (let again = 0; again < 4 && bytes >= 8; again++) bytes = allocated()
  expect(bytes).toBeLessThan(8)
}, 60_000)
