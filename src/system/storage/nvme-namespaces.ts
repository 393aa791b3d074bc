/** Namespaces of NVMe controllers: made and shared out by the host's driver, put on files by the world outside. */
import { join } from 'node:path'
import { NorthbridgeError } from '../../core/index.ts'
import { type BlockStore, NvmeSubsystem } from '../../devices/nvme/index.ts'
import type { Software } from '../../engine/index.ts'
import type { NvmeDriver } from '../../host/index.ts'
import type { DiskHost } from './disk-model.ts'
import { invalid } from './disk-requests.ts'
import { FileStore } from './file-store.ts'
import type { HostControllers } from './host-controllers.ts'

export interface NamespaceView {
  readonly id: number
  readonly blocks: number
  readonly blockSize: number
  /** Whether several controllers may be attached at a time. */
  readonly shared: boolean
  /** Addresses of the functions whose controllers are attached. */
  readonly functions: readonly string[]
  /** What its blocks are in; null for memory of the simulator. */
  readonly file: string | null
}

export interface NewNamespace {
  readonly function: string
  readonly blocks: number
  readonly blockSize: 512 | 4096
  readonly shared: boolean
}

/** A medium that is a file: it belongs to the world outside, and its name to the saved state. */
interface Medium {
  readonly function: string
  readonly namespace: number
  readonly name: string
  readonly store: BlockStore
}

export type SavedMedium = Omit<{ readonly [Key in keyof Medium]: Medium[Key] }, 'store'> & {
  readonly size: number
}

export class NvmeNamespaces {
  readonly #host: DiskHost
  readonly #controllers: HostControllers
  #files: readonly Medium[] = []

  constructor(host: DiskHost, controllers: HostControllers) {
    this.#host = host
    this.#controllers = controllers
  }

  /** Inspection: the namespaces of the chip that a function belongs to, once anybody has used it. */
  list(address: string): readonly NamespaceView[] {
    const model = this.#subsystem(address)
    if (model === undefined) return []
    const { address: physical } = this.#physical(address)
    const controllers = model.view()
    return model.namespaces.all.map(({ id, blocks, blockShift, shared, attached, store }) => ({
      id,
      blocks,
      blockSize: 2 ** blockShift,
      shared,
      functions: controllers
        .filter(({ controllerId }) => attached[controllerId] === 1)
        .map(({ function: fn }) => fn),
      file: this.#files.find(one => one.function === physical && one.store === store)?.name ?? null,
    }))
  }

  #find(address: string, nsid: number): NamespaceView {
    const found = this.list(address).find(({ id }) => id === nsid)
    if (found === undefined) throw new NorthbridgeError('notFound', `${address} has no namespace ${nsid}`)
    return found
  }

  #subsystem(address: string): NvmeSubsystem | undefined {
    const model = this.#host.functionAt(address).modelMade
    return model instanceof NvmeSubsystem ? model : undefined
  }

  /** The function whose driver manages. */
  #physical(address: string) {
    const { host } = this.#host
    const fn = host.find(address)
    return fn.physicalFunction === undefined ? fn : host.find(fn.physicalFunction)
  }

  *#driver(address: string): Software<NvmeDriver> {
    const driver = yield* this.#controllers.open(this.#physical(address).address)
    return driver
  }

  /** Makes a namespace that nobody is attached to. Throws `unsupported` with the status that the controller refuses with. */
  *create({ function: address, blocks, blockSize, shared }: NewNamespace): Software<NamespaceView> {
    const driver = yield* this.#driver(address)
    const definition = { blocks, format: blockSize === 512 ? 0 : 1, shared }
    const nsid = yield* driver.manageNamespaces(commands => commands.create(definition))
    return this.#find(address, nsid)
  }

  /** What is on it is lost; who was attached to it finds nothing any more. Throws `notFound`, `unsupported`. */
  *delete(address: string, nsid: number): Software {
    const driver = yield* this.#driver(address)
    this.#find(address, nsid)
    yield* driver.manageNamespaces(commands => commands.delete(nsid))
  }

  /** Attaches the controller of a function of the chip, or detaches it. Throws `notFound`, `invalidArgument`, `unsupported`. */
  *setAttached(address: string, nsid: number, to: string, attached: boolean): Software<NamespaceView> {
    const driver = yield* this.#driver(address)
    this.#find(address, nsid)
    const controller = this.#controllerOf(to, this.#physical(address).address)
    yield* driver.manageNamespaces(commands =>
      attached ? commands.attach(nsid, controller) : commands.detach(nsid, controller),
    )
    return this.#find(address, nsid)
  }

  /** CNTLID 0 is the physical function's. */
  #controllerOf(address: string, physical: string): number {
    if (address === physical) return 0
    const index = this.#host.host.find(physical).virtualFunctions.indexOf(address)
    if (index < 0) throw invalid('/to', `is no function of ${physical}: ${address}`)
    return index + 1
  }

  /**
   * Stimulus: a file takes the place of a namespace's medium. What is in it stays; a file that is shorter is made as long.
   * Throws `notFound`, `unsupported` where no files may be used, `invalidArgument`.
   */
  *putOnFile(address: string, nsid: number, name: string): Software<NamespaceView> {
    const folder = this.#host.files
    if (folder === undefined) {
      throw new NorthbridgeError('unsupported', 'there is no folder for the files of disks: see --files')
    }
    const driver = yield* this.#driver(address)
    const { blocks, blockSize } = this.#find(address, nsid)
    const store = FileStore.open(join(folder, name), blocks * blockSize)
    const { address: physical } = this.#physical(address)
    this.#subsystem(physical)!.replaceMedium(nsid, store)
    this.#files = [...this.#present(), { function: physical, namespace: nsid, name, store }]
    yield* driver.manageNamespaces(function* () {})
    return this.#find(address, nsid)
  }

  get onFiles(): boolean {
    return this.#files.length > 0 && this.#present().length > 0
  }

  /** Files that are still the media of their namespaces: those may be deleted, cards may be pulled. */
  #present(): readonly Medium[] {
    return this.#files.filter(({ function: address, namespace, store }) => {
      const there = this.#host.host.functions().some(fn => fn.address === address)
      return there && this.#subsystem(address)?.namespaces.get(namespace)?.store === store
    })
  }

  save(): readonly SavedMedium[] {
    return this.#present().map(({ function: address, namespace, name, store }) => ({
      function: address,
      namespace,
      name,
      size: store.size,
    }))
  }

  /** Where no files may be used, what was on them stays out of reach. */
  load(saved: readonly SavedMedium[]): void {
    const { files: folder } = this.#host
    this.#files = saved.map(({ function: address, namespace, name, size }) => {
      const { namespaces } = this.#subsystem(address)!
      if (folder !== undefined) namespaces.replaceStore(namespace, new FileStore(join(folder, name), size))
      return { function: address, namespace, name, store: namespaces.get(namespace)!.store }
    })
  }
}
