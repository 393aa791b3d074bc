/** The parts of a server that stand before its first request and after its last one. */
import { Guard, Namespaces, openTokenBook, parseLimits } from '../../access/index.ts'
import { openStore, type StorePlace } from '../../durability/index.ts'
import { readDocument } from '../../operations/index.ts'

export interface ServingOptions {
  readonly place: StorePlace
  readonly files: string | undefined
  /** Name of a file. */
  readonly limits: string | undefined
  readonly workers: number
  /** A token of an administrator. */
  readonly secret: string | undefined
  /** Told of what went wrong and will be tried again, in words. */
  readonly onTrouble: (reason: string) => void
  /** Told of a world that turned out, after the start, not to be able to go on. */
  readonly onRefused: (world: string, reason: string) => void
}

export interface Serving {
  readonly namespaces: Namespaces
  readonly guard: Guard
  /** Keeps what is to be kept, and leaves to the next server what was not finished. */
  close(): Promise<void>
}

/** Opens them in order; if one cannot be opened, those before it are closed. Throws `storeFailed` and others. */
export async function openServing(options: ServingOptions): Promise<Serving> {
  const { place, files, workers, secret, onTrouble, onRefused } = options
  const limits = options.limits === undefined ? undefined : parseLimits(readDocument(options.limits))
  const open = new AsyncDisposableStack()
  try {
    const { openSimulators } = await import('../../workers/index.ts')
    const simulators = await openSimulators({ database: place.database, workers, onTrouble })
    open.defer(() => simulators.close())
    const store = await openStore(place)
    const namespaces = await Namespaces.open({
      store,
      files,
      launch: simulators.launch,
      onRefused,
      ...(limits !== undefined && { limits }),
    })
    open.defer(() => namespaces.close())
    const guard = await Guard.open({ book: await openTokenBook(place), secret })
    open.defer(() => guard.close())
    return { namespaces, guard, close: () => open.disposeAsync() }
  } catch (error) {
    await open.disposeAsync()
    throw error
  }
}
