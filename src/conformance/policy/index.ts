/** Judges worked policy cases by the policies of the product. */
import { filesIn, readText } from '../files.ts'
import { type Failure, type Report, reportOf, type Verdict } from '../report.ts'
import { judgeDevicePlugin } from './device-plugin.ts'
import { judgeDra } from './dra.ts'
import { judgeKubevirt } from './kubevirt.ts'
import { judgeLibvirt } from './libvirt.ts'
import { judgeGroups } from './linux/groups.ts'
import { judgeNetdevsim } from './linux/netdevsim.ts'
import { judgeSriovSysfs } from './linux/sriov-sysfs.ts'
import { judgeVfio } from './linux/vfio.ts'
import { judgeNetworkOperator } from './network-operator.ts'
import { judgeNova } from './nova/index.ts'
import { judgeOvirt } from './ovirt.ts'
import { judgeProxmox } from './proxmox.ts'
import { judgeTopologyManager } from './topology-manager.ts'
import { casesIn, type Judge, judgeCase, parseWorkedCase, type WorkedCase } from './worked-case.ts'
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
  'linux-iommu-groups': judgeGroups,
  'linux-netdevsim': judgeNetdevsim,
  'linux-sriov-sysfs': judgeSriovSysfs,
  'linux-vfio': judgeVfio,
}

/** Files of worked cases, or folders of them. Throws `notFound`, `malformedInput`. */
export function judgePolicies(paths: readonly string[]): Report {
  return reportOf(
    paths.flatMap(path =>
      filesIn(path).flatMap(file =>
        casesIn(readText(file), file, { amongOthers: file !== path }).map((value, index) =>
          verdictOn(value, `${file} ${index}`),
        ),
      ),
    ),
  )
}

/** A case that no judge understands fails by itself: the others are judged all the same. */
function verdictOn(value: unknown, name: string): Verdict {
  let workedCase: WorkedCase
  try {
    workedCase = parseWorkedCase(value, name)
  } catch (error) {
    return failed(name, { at: 'case', expected: 'the format', got: (error as Error).message })
  }
  const judge = JUDGES[workedCase.system]
  if (judge !== undefined) return judgeCase(workedCase, judge)
  const { system } = workedCase
  return failed(`${system}: ${workedCase.case}`, { at: 'system', expected: 'a known one', got: system })
}

const failed = (id: string, failure: Failure): Verdict => ({ id, checks: 1, failures: 1, failure })
