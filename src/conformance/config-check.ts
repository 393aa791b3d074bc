/** Replays the configuration accesses of a capture folder. */
import { basename, join, resolve } from 'node:path'
import { NorthbridgeError } from '../core/index.ts'
import { ConfigMachine } from './config-machine.ts'
import { ConfigReplay } from './config-replay.ts'
import { type ConfigCapture, captureOf, skippedCapture } from './config-report.ts'
import { parseConfigTrace } from './config-trace.ts'
import { isFile, readText } from './files.ts'

const TRACES = ['pci-cfg-trace.log.gz', 'pci-cfg-trace.log'] as const

/** A folder without a recording is skipped. Throws for one whose machine or recording cannot be understood. */
export function checkConfig(folder: string): ConfigCapture {
  const id = basename(resolve(folder))
  const trace = TRACES.map(name => join(folder, name)).find(isFile)
  if (trace === undefined) return skippedCapture(id, `holds no ${TRACES[0]}`)
  try {
    const machine = ConfigMachine.of(folder)
    return captureOf(new ConfigReplay(id, machine).run(parseConfigTrace(readText(trace))))
  } catch (error) {
    if (!(error instanceof NorthbridgeError)) throw error
    throw new NorthbridgeError(error.code, `${id}: ${error.message}`, error.details)
  }
}
