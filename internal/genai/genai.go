// Package genai has the names of OpenTelemetry's conventions for generative AI, as they are since v0.1.0 of their own
// repository: of spans, their attributes and metrics. Go's packages of conventions end before that.
package genai

import (
	"time"

	"go.opentelemetry.io/otel/attribute"

	"belay/internal/steps"
)

// Operations, which are also the first word of a span's name.
const (
	Chat        = "chat"         // a model is asked
	ExecuteTool = "execute_tool" // an attempt is executed
	InvokeAgent = "invoke_agent" // a run, as a whole
)

// Attributes of spans. What is said and answered is never one of them.
const (
	Operation     = attribute.Key("gen_ai.operation.name")
	Provider      = attribute.Key("gen_ai.provider.name")
	RequestModel  = attribute.Key("gen_ai.request.model")
	MaxTokens     = attribute.Key("gen_ai.request.max_tokens")
	Temperature   = attribute.Key("gen_ai.request.temperature")
	ResponseModel = attribute.Key("gen_ai.response.model")
	ResponseID    = attribute.Key("gen_ai.response.id")
	FinishReasons = attribute.Key("gen_ai.response.finish_reasons")
	InputTokens   = attribute.Key("gen_ai.usage.input_tokens")
	OutputTokens  = attribute.Key("gen_ai.usage.output_tokens")
	CachedTokens  = attribute.Key("gen_ai.usage.cache_read.input_tokens")
	Conversation  = attribute.Key("gen_ai.conversation.id") // the run
	AgentName     = attribute.Key("gen_ai.agent.name")      // the plan's name
	ToolName      = attribute.Key("gen_ai.tool.name")
	ErrorType     = attribute.Key("error.type")     // class of the fault
	ServerAddress = attribute.Key("server.address") // host of the provider
)

// Metrics, as Prometheus has them.
const (
	OperationDuration = "gen_ai_client_operation_duration_seconds"
	TokenUsage        = "gen_ai_client_token_usage"
)

// Labels of metrics, as Prometheus has them.
const (
	LabelOperation = "gen_ai_operation_name"
	LabelProvider  = "gen_ai_provider_name"
	LabelModel     = "gen_ai_request_model"
	LabelToken     = "gen_ai_token_type"
	LabelError     = "error_type"
)

// Values of LabelToken.
const (
	TokenInput  = "input"
	TokenOutput = "output"
)

// Call is one call of a model, for whoever counts them.
type Call struct {
	Provider, Model string
	Took            time.Duration
	Usage           *steps.Usage // nil where nothing was counted
	Class           steps.Class  // of its fault; empty for a success
}
