/** `npm run check:house`: fails when an import breaks the house plan, or when the checker was blind. */
import { checkHouse } from './house.ts'

const report = await checkHouse(process.cwd())
for (const violation of report.violations) console.error(violation)
console.log(
  `${report.modules} modules, ${report.dependencies} imports, ${report.violations.length} violations of floors and doors`,
)
process.exitCode = report.violations.length === 0 ? 0 : 1
