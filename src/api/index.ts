export { type AppOptions, buildApp } from './app.ts'
export { contractFiles } from './contract-files.ts'
export { type RunningServer, type ServerOptions, startServer } from './server.ts'
