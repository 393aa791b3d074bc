export { addNetworkDevice, networkDevices, removeNetworkDevice } from './devices.ts'
export { capturedFrames, captureFrames, replayFrames, traceFrame } from './frames.ts'
export { nic, nics, openNic, setCable, setVf } from './nics.ts'
export { createSwitch, deleteSwitch, mirrorPort, oneSwitch, switches } from './switches.ts'
