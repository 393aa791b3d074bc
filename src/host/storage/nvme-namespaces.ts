/** How the host's NVMe driver makes namespaces and decides who has them: NVM Express 1.4, §8.12 "Namespace Management". */
import {
  ADMIN,
  CONTROLLER_LIST,
  encodeCommand,
  IDENTIFY_SIZE,
  NAMESPACE,
  NAMESPACE_ATTACHMENT,
  NAMESPACE_MANAGEMENT,
  NMIC_SHARED,
  NVME_STATUS,
  nvmeStatusName,
  SQE,
} from '../../devices/formats/nvme/index.ts'
import type { Software } from '../../engine/index.ts'
import type { DeviceAccess } from '../device-access.ts'
import type { DmaBuffer } from '../types.ts'
import type { NvmeQueue } from './nvme-queue.ts'
import { refused } from './nvme-setup.ts'
import { high, low } from './words.ts'

export interface NamespaceDefinition {
  readonly blocks: number
  /** LBA format: 0 for blocks of 512 bytes, 1 for 4096. */
  readonly format: number
  /** Whether several controllers may be attached at a time. */
  readonly shared: boolean
}

export class NamespaceCommands {
  readonly #device: DeviceAccess
  readonly #admin: NvmeQueue
  /** That the controller may read. */
  readonly #page: DmaBuffer

  constructor(device: DeviceAccess, admin: NvmeQueue, page: DmaBuffer) {
    this.#device = device
    this.#admin = admin
    this.#page = page
  }

  /** Returns the identifier. Throws `unsupported` with the status that the controller refuses with; so do the others. */
  *create({ blocks, format, shared }: NamespaceDefinition): Software<number> {
    const data = new DataView(new ArrayBuffer(IDENTIFY_SIZE))
    for (const at of [NAMESPACE.size, NAMESPACE.capacity]) {
      data.setUint32(at, low(blocks), true)
      data.setUint32(at + 4, high(blocks), true)
    }
    data.setUint8(NAMESPACE.format, format)
    data.setUint8(NAMESPACE.multiPath, shared ? NMIC_SHARED : 0)
    this.#device.write(this.#page, 0, new Uint8Array(data.buffer))
    yield* this.#execute('Namespace Management', ADMIN.namespaceManagement, 0, NAMESPACE_MANAGEMENT.create)
    return this.#admin.result
  }

  *delete(nsid: number): Software {
    yield* this.#execute('Namespace Management', ADMIN.namespaceManagement, nsid, NAMESPACE_MANAGEMENT.delete)
  }

  *attach(nsid: number, controller: number): Software {
    yield* this.#attachment(nsid, controller, NAMESPACE_ATTACHMENT.attach)
  }

  *detach(nsid: number, controller: number): Software {
    yield* this.#attachment(nsid, controller, NAMESPACE_ATTACHMENT.detach)
  }

  *#attachment(nsid: number, controller: number, select: number): Software {
    const list = new Uint8Array(CONTROLLER_LIST.size)
    list.set([1, 0, controller & 0xff, controller >>> 8])
    this.#device.write(this.#page, 0, list)
    yield* this.#execute('Namespace Attachment', ADMIN.namespaceAttachment, nsid, select)
  }

  *#execute(name: string, opcode: number, nsid: number, select: number): Software {
    const { address } = this.#page
    encodeCommand(this.#admin.command, 0, opcode, 0, nsid, low(address), high(address), 0, 0)
    this.#admin.command[SQE.cdw10] = select
    const status = yield* this.#admin.execute()
    if (status !== NVME_STATUS.success) {
      throw refused(this.#device, `ends ${name} with ${nvmeStatusName(status)}`)
    }
  }
}
