/** A function in VFIO's hands, as the hypervisor meets it: 256 bytes of config space and a record of what was asked. */
import { pause, type Software } from '../../src/engine/index.ts'
import type { AssignedFunction, DeviceRegion, HostFunction, MsixLayout } from '../../src/host/index.ts'

export interface FakeOptions {
  readonly regions: readonly DeviceRegion[]
  readonly msix?: MsixLayout
  /** MSI control word (capability at 50h). */
  readonly msiControl?: number
}

export function fakeFunction({ regions, msix, msiControl }: FakeOptions) {
  const config = new DataView(new ArrayBuffer(256))
  // A VF: its own vendor and device ID registers read all ones.
  config.setUint32(0x00, 0xffff_ffff, true)
  config.setUint32(0x04, 0x0010_0000, true)
  config.setUint32(0x0c, 0x0080_0000, true)
  config.setUint32(0x34, msix ? 0x70 : 0x50, true)
  config.setUint8(0x3d, 1)
  if (msix) {
    config.setUint32(0x70, (((msix.count - 1) << 16) | 0xa011) >>> 0, true)
    config.setUint32(0x74, msix.tableOffset | msix.tableBar, true)
    config.setUint32(0x78, msix.pbaOffset | msix.pbaBar, true)
  } else if (msiControl !== undefined) {
    config.setUint32(0x50, ((msiControl << 16) | 0xa005) >>> 0, true)
  }
  config.setUint32(0xa0, 0x0003_0010, true)
  const log: string[] = []
  let onInterrupt: ((index: number) => void) | undefined
  /** Real drivers wait for hardware here. */
  function* done(what: string): Software {
    yield* pause()
    log.push(what)
  }
  const assigned: AssignedFunction = {
    function: { address: '0000:03:10.0', vendorId: 0x8086, deviceId: 0x10ca } as HostFunction,
    aliases: [],
    domain: 1,
    map: (iova, hostPage, pages) => done(`map ${iova} ${hostPage} ${pages}`),
    unmap: (iova, pages) => done(`unmap ${iova} ${pages}`),
    whyNotNested: undefined,
    nest: () => done('nest'),
    forgetNested: () => done('forget'),
    trackDirty: on => done(`track ${on}`),
    *dirtyPages(_iova, pages): Software<Uint8Array> {
      yield* pause()
      return new Uint8Array(Math.ceil(pages / 8))
    },
    servePageRequests: () => done('serve'),
    resumeInterrupts: () => {},
    readConfig: (offset, width) =>
      width === 4
        ? config.getUint32(offset, true)
        : width === 2
          ? config.getUint16(offset, true)
          : config.getUint8(offset),
    writeConfig: (offset, width, value) => {
      log.push(`config ${offset.toString(16)}/${width} ${value.toString(16)}`)
      if (offset === 4) config.setUint16(4, value, true)
    },
    regions,
    ...(msix && { msix }),
    ...(msiControl !== undefined && {
      msi: { capability: 0x50, count: 1 << ((msiControl >> 1) & 7), is64: true, maskable: true },
    }),
    enableInterrupts: (count, callback, processor) => {
      onInterrupt = callback
      return done(`enable ${count} on ${processor}`)
    },
    postsInterrupts: false,
    postInterrupt: index => done(`post ${index}`),
    disableInterrupts: () => {
      onInterrupt = undefined
      return done('disable')
    },
    *reset() {
      yield* done('reset')
      return 'flr' as const
    },
    hotResetMembers: () => [],
    hotReset: () => done('hot reset'),
    release: () => done('release'),
  }
  return { assigned, log, interrupt: (index: number) => onInterrupt?.(index) }
}
