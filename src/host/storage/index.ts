export { NvmeDriver, type NvmeDriverOptions, type NvmeNamespace } from './nvme-driver.ts'
