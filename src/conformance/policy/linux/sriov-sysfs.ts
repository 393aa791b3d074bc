/** Worked cases of sysfs `sriov_numvfs`. */
import { z } from 'zod'
import { parseDocument } from '../../../core/index.ts'
import { driverNamed } from '../../../host/driver-table.ts'
import { judgeNumVfs } from '../../../host/sriov-rules.ts'
import { type Judge, unknownShape } from '../worked-case.ts'

const functionSchema = z.looseObject({
  total: z.int(),
  num: z.int().default(0),
  driver: z.string().nullable().default(null),
  /** Whether the driver has the callback; default: as the driver of that name does. */
  sriov_configure: z.boolean().nullable().optional(),
  /** What the driver limits TotalVFs to (`pci_sriov_set_totalvfs`). */
  driver_max: z.int().optional(),
})

export const judgeSriovSysfs: Judge = ({ devices, request }) => {
  const fn = parseDocument(functionSchema, devices[0], 'devices/0')
  const writes = [request['write'] ?? request['writes']].flat()
  let numVfs = fn.num
  for (const [index, write] of writes.entries()) {
    if (typeof write !== 'number') return unknownShape('request/write is no number')
    const verdict = judgeNumVfs(write, {
      limit: Math.min(fn.total, fn.driver_max ?? fn.total),
      numVfs,
      configurable: fn.sriov_configure ?? configures(fn.driver),
    })
    if (verdict !== 'same' && verdict !== 'enable' && verdict !== 'disable')
      return { decision: 'deny', errorClass: verdict, step: index + 1 }
    numVfs = write
  }
  return { decision: 'allow', num: numVfs }
}

/** A driver that the simulated kernel does not have is taken to configure VFs; cases say so if it does not. */
function configures(driver: string | null): boolean {
  if (driver === null) return false
  const row = driverNamed(driver)
  return row === undefined || row.sriov !== undefined
}
