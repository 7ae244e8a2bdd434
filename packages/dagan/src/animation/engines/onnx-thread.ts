// A thread with an ONNX Runtime engine in it.
import { workerData } from 'node:worker_threads';
import { answerRequests } from '../../threads/answer-requests.js';
import type { OnnxEngine } from './onnx.js';
import { loadOnnxEngine } from './onnx-runtime.js';
import type { OnnxThreadAnswer, OnnxThreadRequest, OnnxThreadSetup } from './onnx-threads.js';

const { folder, options } = workerData as OnnxThreadSetup;
let loading: Promise<OnnxEngine> | undefined;

answerRequests<OnnxThreadRequest, OnnxThreadAnswer[keyof OnnxThreadAnswer]>(async (request) => {
  loading ??= loadOnnxEngine(folder, options);
  const engine = await loading;
  switch (request.call) {
    case 'load':
      return { answer: { description: engine.description, size: engine.size } };
    case 'setSource':
      return { answer: await engine.setSource(request.portrait) };
    case 'drive': {
      const [analysis] = await engine.drive([request.frame], { withDisparity: request.withDisparity });
      return { answer: analysis! };
    }
    case 'generate': {
      const [picture] = await engine.generate([request.keypoints]);
      return { answer: picture! };
    }
  }
});
