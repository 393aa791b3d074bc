/** What commands leave on the heap; run by `allocation.test.ts` in a process of its own. */
import { Rig } from './rig.ts'

const ENTRIES = 32
const WARM_UP = 100_000

/** Bytes of heap that a read of 4 KiB costs, doorbells, data, completion and message included. */
export function heapPerCommand(commands: number): number {
  const rig = new Rig()
  rig.enable()
  rig.createPair(1, 0x10_0000, ENTRIES)
  for (let i = 0; i < ENTRIES; i++) rig.submit(1, [2, 1, 0, 0, 0, 0, 0x40_0000, 0, 0, 0, 0, 0, 7])
  rig.sink.quiet = true
  let tail = 0
  const run = (count: number): void => {
    for (let i = 0; i < count; i++) {
      tail = (tail + 1) % ENTRIES
      rig.fabric.writeMemory(0xe000_1008, tail, -1)
      rig.fabric.writeMemory(0xe000_100c, tail, -1)
    }
  }
  run(WARM_UP)
  globalThis.gc!()
  const before = process.memoryUsage().heapUsed
  run(commands)
  return (process.memoryUsage().heapUsed - before) / commands
}
