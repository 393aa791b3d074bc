export { journalInMemory, type OpenInstallation, openInstallation } from './installation.ts'
export { Journal, type Journalled } from './journal.ts'
export { openStore, type StorePlace } from './open-store.ts'
export { type Restored, restoreInstallation } from './restore.ts'
