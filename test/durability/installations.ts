/** Installations that are kept, for tests: they are opened, worked with and opened again. */
import { type Journal, type OpenInstallation, openInstallation } from '../../src/durability/index.ts'
import { drive } from '../../src/engine/index.ts'
import { type InputOf, installation, type OperationId, type OutputOf } from '../../src/operations/index.ts'
import type { Store } from '../../src/store/index.ts'

export const TOPOLOGY = 'one-socket-82576'
export const PF = '0000:01:00.0'
export const VF = '0000:01:10.0'

/** Carries out an operation; throws what it ends with. What it changed is durable afterwards. */
export const run = <Id extends OperationId>(
  journal: Journal,
  id: Id,
  input: InputOf<Id>,
): Promise<OutputOf<Id>> => journal.call(id, input)

/** The same at once, where nothing has to be waited for. */
export function runNow<Id extends OperationId>(journal: Journal, id: Id, input: InputOf<Id>): OutputOf<Id> {
  const { outcome } = drive(journal.execute(id, input), () => false)
  if ('error' in outcome) throw outcome.error
  return outcome.output
}

export const opened = (store: Store, files?: string): Promise<OpenInstallation> =>
  openInstallation(installation(files === undefined ? {} : { files }), store)

export const hashOf = (journal: Journal, platform: string): string =>
  runNow(journal, 'platformState', { platform }).stateHash

/** A platform with a virtual machine that has a virtual function: commands 1 to 5. */
export async function build(journal: Journal, platform: string): Promise<void> {
  await run(journal, 'createPlatform', { topology: TOPOLOGY, name: platform })
  await run(journal, 'setNumVfs', { platform, function: PF, numVfs: 2 })
  await run(journal, 'createVm', { platform, name: 'alpha', vcpus: 1, memoryMiB: 4 })
  await run(journal, 'attach', { platform, vm: 'alpha', function: VF })
  await run(journal, 'writeMemory', { platform, vm: 'alpha', address: '0x2000', data: '5a'.repeat(16) })
}
