/** What `conform` does. */
import { basename } from 'node:path'
import {
  checkConfig,
  checkLinux,
  checkProcessors,
  configReportOf,
  filesIn,
  judgePolicies,
  listCases,
  parseVectors,
  type Report,
  readText,
  replay,
  replayInsideVm,
  reportOf,
  tellCases,
  tellConfigReport,
  tellProcessors,
  tellReport,
} from '../../conformance/index.ts'
import { NorthbridgeError } from '../../core/index.ts'
import { NO_QUIRKS, quirksByName } from '../../vtd/index.ts'
import type { CommandEnvironment } from '../environment.ts'
import { toJson } from '../output.ts'

/** Exit status of a run in which something was not as recorded. */
const FAILED = 1

export interface JsonOption {
  readonly json?: true
}

export interface UnitOptions extends JsonOption {
  readonly quirks: string
  readonly insideVm?: true
}

export interface ProcessorOptions extends JsonOption {
  readonly list?: true
}

export function conformUnit(
  files: readonly string[],
  { quirks: name, insideVm, json }: UnitOptions,
  environment: CommandEnvironment,
): void {
  const quirks = quirksByName(name)
  const programs = files.flatMap(filesIn).flatMap(file => parseVectors(readText(file), basename(file)))
  if (insideVm && quirks !== NO_QUIRKS) {
    throw new NorthbridgeError('invalidArgument', '--inside-vm: units of guests have no quirks')
  }
  const verdicts = insideVm ? replayInsideVm(programs) : programs.map(program => replay(program, quirks))
  tell(reportOf(verdicts), json, environment)
}

export function conformLinux(
  folders: readonly string[],
  { json }: JsonOption,
  environment: CommandEnvironment,
): void {
  tell(reportOf(folders.map(folder => checkLinux(folder))), json, environment)
}

export function conformPolicy(
  files: readonly string[],
  { json }: JsonOption,
  environment: CommandEnvironment,
): void {
  tell(judgePolicies(files), json, environment)
}

export function conformProcessors(
  text: string | undefined,
  { list, json }: ProcessorOptions,
  { print, exit }: CommandEnvironment,
): void {
  if (list) {
    print(json ? toJson(listCases(text)) : tellCases(text))
    return
  }
  const report = checkProcessors(text)
  print(json ? toJson(report) : tellProcessors(report, text))
  if (report.failed > 0) exit(FAILED)
}

export function conformConfig(
  folders: readonly string[],
  { json }: JsonOption,
  { print, exit }: CommandEnvironment,
): void {
  const report = configReportOf(folders.map(folder => checkConfig(folder)))
  print(json ? toJson(report) : tellConfigReport(report))
  if (report.failed > 0) exit(FAILED)
}

function tell(report: Report, json: true | undefined, { print, exit }: CommandEnvironment): void {
  print(json ? toJson(report) : tellReport(report))
  if (report.failed > 0) exit(FAILED)
}
