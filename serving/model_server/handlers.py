"""What each request of TensorFlow Serving's API does, whatever carries it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from serving.model_server import examples, predict
from serving.model_server.errors import invalid
from serving.model_server.manager import Lease, Manager
from serving.model_server.metrics import Metrics
from serving.model_server.predict import PredictOptions


class Handlers:
    """Requests in, responses out. Every method raises ServingError or TensorFlow's errors."""

    def __init__(self, manager: Manager, metrics: Metrics, options: PredictOptions) -> None:
        self._manager = manager
        self._metrics = metrics
        self.options = options

    def predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        """Named tensors through a signature."""
        with self.lease(request) as leased:
            return predict.predict(leased.model, leased.version.number, request, self.options)

    def classify(self, request: classification_pb2.ClassificationRequest) -> classification_pb2.ClassificationResponse:
        """Classes and scores of examples."""
        response = classification_pb2.ClassificationResponse()
        spec, check = request.model_spec, self.options.check_method_name
        with self.lease(request) as leased:
            response.result.CopyFrom(examples.classify(leased.model, spec, request.input, check))
            examples.answered_by(response.model_spec, spec, leased.version.number)
        return response

    def regress(self, request: regression_pb2.RegressionRequest) -> regression_pb2.RegressionResponse:
        """A value for each example."""
        response = regression_pb2.RegressionResponse()
        spec, check = request.model_spec, self.options.check_method_name
        with self.lease(request) as leased:
            response.result.CopyFrom(examples.regress(leased.model, spec, request.input, check))
            examples.answered_by(response.model_spec, spec, leased.version.number)
        return response

    def multi_inference(self, request: inference_pb2.MultiInferenceRequest) -> inference_pb2.MultiInferenceResponse:
        """Several classifications and regressions of the same examples, by the version that the first one asks for."""
        spec = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
        with self.lease_spec(spec) as leased:
            check = self.options.check_method_name
            return examples.multi_inference(leased.model, leased.version.number, request, check)

    def metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Signatures of a version."""
        _need_spec(request)
        predict.check_metadata(request)
        with self.lease(request) as leased:
            return predict.metadata(leased.model, leased.version.number, request)

    def status(
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """States of one or all versions of a model; a label narrows nothing, as in the original."""
        _need_spec(request)
        spec = request.model_spec
        response = get_model_status_pb2.GetModelStatusResponse()
        for number, state, error in self._manager.status(
            spec.name, spec.version.value if spec.HasField("version") else None
        ):
            row = response.model_version_status.add(version=number, state=int(state))
            row.status.error_code = error.code.value[0] if error else 0
            row.status.error_message = error.message if error else ""
        return response

    def reload(
        self, request: model_management_pb2.ReloadConfigRequest, give_up: Callable[[], bool]
    ) -> model_management_pb2.ReloadConfigResponse:
        """Take over another list of models; `give_up` ends the waiting for them."""
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        before = {name: self._metrics.total(name) or 0 for name in request.metric_names}
        self._manager.reload(request.config, give_up)
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()  # OK is there, and empty: clients look into it unasked
        for name, earlier in before.items():
            response.metric.add(name=name, int64_value_increase=(self._metrics.total(name) or 0) - earlier)
        return response

    def lease(self, request: Any) -> Lease:
        """The version that a request's model_spec asks for."""
        _need_spec(request)
        return self.lease_spec(request.model_spec)

    def lease_spec(self, spec: model_pb2.ModelSpec) -> Lease:
        """The version that a ModelSpec asks for."""
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        choice = spec.WhichOneof("version_choice")
        return self._manager.lease(
            spec.name,
            version=spec.version.value if choice == "version" else None,
            label=spec.version_label if choice == "version_label" else None,
        )


def _need_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
