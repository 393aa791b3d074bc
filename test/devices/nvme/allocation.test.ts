/** Commands in steady state leave nothing on the heap: a controller lives as long as its machine. */
import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'

/**
 * In a process of its own, where no other test has taught the compiler anything; compiled when it is due, not when a busy
 * machine has a processor to spare; and with room for everything, so that nothing is collected while it is counted.
 */
const FLAGS = [
  '--expose-gc',
  '--no-concurrent-recompilation',
  '--min-semi-space-size=64',
  '--max-semi-space-size=64',
]

function allocated(): number {
  const script = `
    import { heapPerCommand } from './test/devices/nvme/heap.ts'
    console.log(heapPerCommand(50_000))`
  const flags = [...FLAGS, '--input-type=module', '--eval', script]
  return Number(execFileSync(process.execPath, flags, { encoding: 'utf8' }))
}

it('reads of 4 KiB allocate nothing that grows with their number', () => {
  expect(allocated()).toBeLessThan(2)
}, 60_000)
