// Analysis of faces wherever a runtime and the models are given to it, browsers included: where faces are, the mesh of
// their surface, the pose of the head, what they do.
export {
  type DetectOptions,
  FaceAnalyzer,
  type FaceAnalyzerOptions,
  type FaceMeasurement,
} from './analyzer.js';
export type { FaceBox } from './detector.js';
export {
  EXPRESSION_SIGNALS,
  EXPRESSION_UNITS,
  type ExpressionSignal,
  type ExpressionSignals,
  type ExpressionUnit,
  expressionSignals,
  expressionUnits,
  neutralExpression,
} from './expression.js';
export { FACE_MODELS, type FaceModelFile, type FaceModelReader } from './face-models.js';
export {
  ANALYSIS_SIDE,
  analysisSize,
  fitSquare,
  type Square,
  squareForFaces,
  squareOfFace,
  TRAINING_FRAME,
} from './framing.js';
export { type Box, overlap, scaleBox, unionOf } from './geometry.js';
export { type FaceMesh, MESH_POINTS, MIN_MESH_SCORE } from './mesh.js';
export type { MeasuredBy, Network, NetworkRuntime, NetworkTensor, NetworkValue } from './networks.js';
export type { HeadPose } from './pose.js';
export type { Region } from './sampling.js';
export { sessionNetworks } from './session-networks.js';
