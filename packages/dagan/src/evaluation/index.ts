// Evaluation: metrics, protocols, reports, and the paper's ablation.
export * from './ablation.js';
export { type AblationResult, ablationTable } from './ablation-report.js';
export * from './ablation-rows.js';
export * from './cases.js';
export * from './contestants.js';
export * from './evaluate.js';
export { type FaceReading, type InstrumentOptions, Instruments } from './instruments.js';
export { type CaseScores, type CaseSettings, measureCase } from './measure-case.js';
export * from './measures.js';
export * from './metrics/index.js';
export { type ModelHealth, modelHealth } from './model-health.js';
export { type FrameReference, type ListedPair, readPairList } from './pair-list.js';
export { type CaseRow, RowStore } from './rows.js';
export { type ContestantSummary, type EvaluationResult, expressionTable, summaryTable } from './summary.js';
