/** Judges worked policy cases by the policies of the product. */
import { filesIn, readText } from '../files.ts'
import { type Report, reportOf } from '../report.ts'
import { judgeDevicePlugin } from './device-plugin.ts'
import { judgeDra } from './dra.ts'
import { judgeKubevirt } from './kubevirt.ts'
import { judgeLibvirt } from './libvirt.ts'
import { judgeNetworkOperator } from './network-operator.ts'
import { judgeNova } from './nova/index.ts'
import { judgeOvirt } from './ovirt.ts'
import { judgeProxmox } from './proxmox.ts'
import { judgeTopologyManager } from './topology-manager.ts'
import { type Judge, judgeCase, parseWorkedCases } from './worked-case.ts'
import { judgeXapi } from './xapi.ts'

const JUDGES: Readonly<Partial<Record<string, Judge>>> = {
  'sriov-network-device-plugin': judgeDevicePlugin,
  'sriov-network-operator': judgeNetworkOperator,
  'kubernetes-dra': judgeDra,
  kubevirt: judgeKubevirt,
  libvirt: judgeLibvirt,
  nova: judgeNova,
  ovirt: judgeOvirt,
  xapi: judgeXapi,
  'proxmox-qemu-server': judgeProxmox,
  'kubernetes-topology-manager': judgeTopologyManager,
}

/** Files of worked cases, or folders of them. Throws `notFound`, `malformedInput`, `invalidDocument`. */
export function judgePolicies(paths: readonly string[]): Report {
  const cases = paths.flatMap(filesIn).flatMap(file => parseWorkedCases(readText(file), file))
  return reportOf(
    cases.map(workedCase => {
      const judge = JUDGES[workedCase.system]
      const id = `${workedCase.system}: ${workedCase.case}`
      if (judge !== undefined) return judgeCase(workedCase, judge)
      const failure = { at: 'system', expected: 'a known policy', got: 'none' }
      return { id, checks: 1, failures: 1, failure }
    }),
  )
}
