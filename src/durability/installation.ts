/** An installation as a process has it: everything that its store has kept, and a journal of what comes. */
import type { OperationContext } from '../operations/index.ts'
import { type KeptAnswer, MemoryStore, type Store } from '../store/index.ts'
import { Journal } from './journal.ts'
import { type Restored, restoreInstallation } from './restore.ts'

export interface OpenInstallation extends Restored {
  /** Under idempotency keys, oldest first. */
  readonly answers: readonly KeptAnswer[]
  /** What could not be read and was cut off. */
  readonly losses: readonly string[]
  /** Keeps every state, so that the next start has little to do, and lets go of the store. */
  close(): Promise<void>
}

/** Throws `storeFailed`. */
export async function openInstallation(context: OperationContext, store: Store): Promise<OpenInstallation> {
  const kept = await store.open()
  const restored = await restoreInstallation(context, kept, store)
  return {
    ...restored,
    answers: kept.answers,
    losses: kept.losses,
    close: async () => {
      await restored.journal.keepAll()
      await store.close()
    },
  }
}

/** Of an installation that ends with its process. */
export const journalInMemory = (context: OperationContext): Journal => new Journal(context, new MemoryStore())
