// Analysis of faces: where they are, the mesh of their surface, the pose of the head.
export { type DetectOptions, FaceAnalyzer, type FaceAnalyzerOptions, MIN_MESH_SCORE } from './analyzer.js';
export { FACE_ASSETS } from './assets.js';
export type { FaceBox } from './detector.js';
export { fitSquare, type Square, squareForFaces, squareOfFace, TRAINING_FRAME } from './framing.js';
export { type Box, overlap, unionOf } from './geometry.js';
export { type FaceMesh, MESH_POINTS } from './mesh.js';
export type { Network, NetworkRuntime, NetworkTensor } from './networks.js';
export type { HeadPose } from './pose.js';
export type { Region } from './sampling.js';
