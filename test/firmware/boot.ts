/** Powers on a document and runs firmware on it, for tests. Config space is reached as software reaches it. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Engine } from '../../src/engine/index.ts'
import { type FirmwareReport, runFirmware } from '../../src/firmware/index.ts'
import { type MachinePort, Platform, parseTopology, type TopologyDocument } from '../../src/platform/index.ts'

export interface Booted {
  readonly platform: Platform
  readonly report: FirmwareReport
  readonly engine: Engine
  read(rid: number, offset: number, segment?: number): number
  write(rid: number, offset: number, value: number, lanes?: number): void
}

/** @param seen stands between firmware and the machine. */
export function boot(
  document: TopologyDocument,
  seen: (port: MachinePort) => MachinePort = port => port,
): Booted {
  const engine = new Engine()
  const platform = engine.run(Platform.build(parseTopology(document), engine))
  platform.powerOn()
  const report = engine.run(runFirmware(seen(platform.port)))
  const at = (rid: number, offset: number, segment = 0): number =>
    platform.port.board.ecam.find(window => window.segment === segment)!.base + rid * 4096 + offset
  return {
    platform,
    report,
    engine,
    read: (rid, offset, segment) => platform.port.readDword(at(rid, offset, segment)),
    write: (rid, offset, value, lanes) => platform.port.writeDword(at(rid, offset), value, lanes),
  }
}

/** Every topology that ships, by file. */
export const shipped = (): (readonly [string, TopologyDocument])[] => {
  const root = join(import.meta.dirname, '../../topologies')
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.json'))
    .sort()
    .map(file => [file, JSON.parse(readFileSync(join(root, file), 'utf8'))])
}
