/** `northbridge conform …`: recordings of other implementations and of a real kernel, replayed and compared. */
import { basename } from 'node:path'
import type { Command } from 'commander'
import {
  checkConfig,
  checkLinux,
  checkProcessors,
  configReportOf,
  filesIn,
  judgePolicies,
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
} from '../conformance/index.ts'
import { NorthbridgeError } from '../core/index.ts'
import { NO_QUIRKS, QUIRK_PRESETS, quirksByName } from '../vtd/index.ts'
import type { CommandEnvironment } from './environment.ts'
import { toJson } from './output.ts'

/** Exit status of a run in which something was not as recorded. */
const FAILED = 1

interface ConformOptions {
  readonly quirks?: string
  readonly insideVm?: true
  readonly json?: true
}

interface VmxOptions {
  readonly list?: true
  readonly json?: true
}

export function addConformCommands(root: Command, environment: CommandEnvironment): void {
  const conform = root
    .command('conform')
    .description('compare with recordings of other implementations and of a real kernel')
  conform
    .command('vtd')
    .description('replay programs recorded from another remapping unit, step by step')
    .argument('<file...>', 'programs: .jsonl, .json, either packed with gzip, or a folder of such files')
    .option('--quirks <name>', `depart from the specification as ${QUIRK_PRESETS.join(' or ')} does`, 'none')
    .option(
      '--inside-vm',
      'drive the remapping unit of a guest from inside its virtual machine, with assigned functions behind it',
    )
    .option('--json', 'print JSON for programs')
    .action((files: readonly string[], { quirks: name, insideVm, json }: ConformOptions) => {
      const quirks = quirksByName(name!)
      const programs = files.flatMap(filesIn).flatMap(file => parseVectors(readText(file), basename(file)))
      if (insideVm && quirks !== NO_QUIRKS) {
        throw new NorthbridgeError('invalidArgument', '--inside-vm: units of guests have no quirks')
      }
      const verdicts = insideVm ? replayInsideVm(programs) : programs.map(program => replay(program, quirks))
      tell(reportOf(verdicts), json, environment)
    })
  conform
    .command('linux')
    .description('walk the tables that a real kernel wrote, by real requests')
    .argument('<folder...>', 'captures with vtd-pages.json.gz and vtd-expect.json.gz')
    .option('--json', 'print JSON for programs')
    .action((folders: readonly string[], { json }: ConformOptions) => {
      tell(reportOf(folders.map(folder => checkLinux(folder))), json, environment)
    })
  conform
    .command('policy')
    .description('decide worked cases of the policies that other systems run')
    .argument('<file...>', 'worked cases: .json, plain or packed with gzip, or a folder of such files')
    .option('--json', 'print JSON for programs')
    .action((files: readonly string[], { json }: ConformOptions) => {
      tell(judgePolicies(files), json, environment)
    })
  conform
    .command('vmx')
    .description("run the processors' conformance table, derived from kvm-unit-tests' VMX and APIC suites")
    .argument('[text]', 'only cases whose identifier or source contains this')
    .option('--list', 'list the cases instead of running them')
    .option('--json', 'print JSON for programs')
    .action((text: string | undefined, { list, json }: VmxOptions) => {
      if (list) {
        environment.print(tellCases(text))
        return
      }
      const report = checkProcessors(text)
      environment.print(json ? toJson(report) : tellProcessors(report, text))
      if (report.failed > 0) environment.exit(FAILED)
    })
  conform
    .command('config')
    .description('replay what firmware and kernel did to configuration space, read by read')
    .argument('<folder...>', 'captures with topology.args or topology.json, and pci-cfg-trace.log.gz')
    .option('--json', 'print JSON for programs')
    .action((folders: readonly string[], { json }: ConformOptions) => {
      const report = configReportOf(folders.map(folder => checkConfig(folder)))
      environment.print(json ? toJson(report) : tellConfigReport(report))
      if (report.failed > 0) environment.exit(FAILED)
    })
}

function tell(report: Report, json: true | undefined, { print, exit }: CommandEnvironment): void {
  print(json ? toJson(report) : tellReport(report))
  if (report.failed > 0) exit(FAILED)
}
