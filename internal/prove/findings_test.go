package prove

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"belay/internal/plan"
	"belay/internal/steps"
)

var today = time.Date(2027, 1, 15, 12, 0, 0, 0, time.UTC)

// finding is a plan and a tools file that have a finding, and the nearest ones that do not: with parts of the text
// replaced.
type finding struct {
	code        string
	tools, text string
	says        string   // part of the message
	way         string   // the witness
	mended      []string // old, new, old, new: in the plan or in the tools file
}

const oneStep = "name: p\nsteps:\n  - {id: a, tool: t}\n"

var findings = []finding{
	{plan.WayWithoutEnd, `tools: {t: {effects: none, timeout: 0s, rungs: [{http: {url: "http://a/"}, timeout: 0s}]}}`, oneStep,
		"nothing ends an attempt of t/primary", "a -> t/primary -> no answer -> no timeout -> nobody is asked", []string{"}, timeout: 0s}", "}, timeout: 5s}"}},
	{plan.WayWithoutEnd, `tools: {t: {effects: none, timeout: 0s, rungs: [{http: {url: "http://a/"}, timeout: 0s}]}}`, oneStep,
		"the run has no deadline", "", []string{"name: p", "name: p\ndeadline: 1h"}},
	{plan.WayWithoutEnd, `tools: {t: {effects: none, timeout: 0s, rungs: [{http: {url: "http://a/"}, retry: {retry_after_max: 0s}}]}}`, oneStep,
		"may name any wait", "a -> t/primary -> 429, Retry-After: a year -> it waits -> nobody is asked", []string{"retry_after_max: 0s", "retry_after_max: 1m"}},
	{plan.WayWithoutEnd, `tools: {t: {effects: none, rungs: [{static: {output: 1}}]}, u: {effects: idempotent, timeout: 0s, rungs: [{go: {}, timeout: 0s}]}}`, "name: p\ndeadline: 1h\nsteps:\n  - {id: a, tool: t, compensate: {tool: u}}\n",
		"the run's deadline does not count for a compensation", "", []string{"{go: {}, timeout: 0s}", "{go: {}}"}},
	{plan.NoAnswer, `tools: {t: {effects: none, approval: {decisions: [reject, abort], deadline: 1h, on_deadline: fail}, rungs: [{go: {}}]}}`, oneStep,
		"its decisions (reject, abort) have none that lets it act", "a -> held for approval -> nobody can approve it -> rejected or aborted", []string{"[reject, abort]", "[approve, reject]"}},
	{plan.NoAnswer, `tools: {t: {effects: none, approval: {decisions: [edit, reject], approvers: 2, deadline: 1h, on_deadline: fail}, rungs: [{go: {}}]}}`, oneStep,
		"needs two approvals, and nobody may approve", "", []string{"approvers: 2", "approvers: 1"}},
	{plan.NoAnswer, `tools: {t: {output_schema: {type: object}, rungs: [{human: {question: "Which?", options: [x, y], deadline: 1h, on_deadline: fail}}]}}`, oneStep,
		"every answer that t/primary offers is refused", "", []string{"{type: object}", "{type: string}"}},
	{plan.TimesContradict, `tools: {t: {effects: none, timeout: 10s, rungs: [{go: {}, timeout: 1m}]}}`, oneStep,
		"may take 1m, all of the step only 10s", "a -> t/primary -> its timeout of 1m -> never reached", []string{"timeout: 1m", "timeout: 5s"}},
	{plan.NoDeadline, `tools: {t: {effects: none, approval: always, rungs: [{go: {}}]}}`, oneStep,
		"the approval of t has no deadline", "a -> the approval of t -> nobody answers -> it waits for good", []string{"approval: always", "approval: {deadline: 1h}"}},
	{plan.NoDeadline, `tools: {t: {rungs: [{human: {question: "Which?"}}]}}`, oneStep,
		"the question of t/primary has no deadline", "", []string{`"Which?"`, `"Which?", deadline: 1h`}},
	{plan.NoOutcome, `tools: {t: {effects: none, approval: {deadline: 1h, on_deadline: park}, rungs: [{go: {}}]}}`, oneStep,
		"only asked again", "", []string{"park", "fail"}},
	{plan.NoOutcome, `tools: {t: {rungs: [{human: {question: "Which?", deadline: 1h, on_deadline: fallback}}]}}`, oneStep,
		"there is no rung below it", "", []string{"fallback", "fail"}},
	{plan.BudgetTooShort, `tools: {t: {effects: none, timeout: 60s, rungs: [{name: x, http: {url: "http://a/"}}, {name: y, cache: {max_age: 1h}}]}}`, oneStep,
		"t/y may never be tried: the rungs above it may take 1m33s, all of the step only 1m", "a -> t/x fails 3 times -> the budget of 1m is used up -> t/y is not tried -> on_failure", []string{"timeout: 60s", "timeout: 2m"}},
	{plan.DeadlineTooShort, `tools: {t: {effects: none, rungs: [{http: {url: "http://a/"}}]}}`, "name: p\ndeadline: 1m\nsteps:\n  - {id: a, tool: t}\n",
		"the tries of the steps, where each fails alike, may take 1m33s, the whole run only 1m", "a takes 1m33s -> the deadline of 1m comes first -> a person is asked whether the run gets its time again", []string{"deadline: 1m", "deadline: 2m"}},
	{plan.SharedDependency, `tools: {t: {effects: none, rungs: [{name: x, http: {url: "http://a/1"}}, {name: y, http: {url: "http://a/2"}}]}}`, oneStep,
		"t/x and t/y both lean on a", "a -> a is down -> t/x fails -> t/y fails", []string{"http://a/2", "http://b/2"}},
	{plan.SharedDependency, `tools: {t: {effects: none, rungs: [{name: x, command: {argv: [python, a.py]}}, {name: y, command: {argv: [python, a.py]}}]}}`, oneStep,
		"both lean on python a.py", "", []string{"{name: y, command: {argv: [python, a.py]", "{name: y, command: {argv: [python, b.py]"}},
	{plan.SharedDependency, `tools: {t: {effects: none, rungs: [{name: x, mcp: {url: "http://a/mcp", tool: find}}, {name: y, http: {url: "http://a/2"}}]}}`, oneStep,
		"t/x and t/y both lean on a", "", []string{"http://a/2", "http://b/2"}},
	{plan.SharedDependency, `tools: {t: {effects: none, rungs: [{name: x, mcp: {command: [npx, shop], tool: find}}, {name: y, mcp: {command: [npx, shop], tool: search}}]}}`, oneStep,
		"both lean on npx shop", "", []string{"{command: [npx, shop], tool: search}", "{command: [npx, store], tool: search}"}},
	{plan.NoProbe, `tools: {t: {effects: unsafe, approval: {deadline: 1h, on_deadline: fail}, rungs: [{go: {}}]}}`, oneStep,
		"t is unsafe and has no probe", "a -> timeout -> it may have happened -> no probe -> a person finds out", []string{"rungs:", `verify: {http: {url: "http://a/"}, happened: output.found}, rungs:`}},
	{plan.NoApproval, `tools: {t: {rungs: [{go: {}}]}}`, oneStep,
		"step a does what nothing undoes, and nobody approves it: t is unsafe (effects are unsafe unless the tools file says otherwise)", "a -> done -> no compensation -> stays done", []string{"rungs:", "approval: always, rungs:"}},
	{plan.NoApproval, `tools: {t: {rungs: [{go: {}}]}}`, oneStep, "", "", []string{"tool: t}", "tool: t, compensate: {tool: t}}"}},
	{plan.NoApproval, `tools: {t: {rungs: [{go: {}}]}, u: {effects: idempotent, rungs: [{go: {}}]}}`, oneStep, "", "", []string{"t: {rungs", "t: {undo: {tool: u}, rungs"}},
	{plan.NoApproval, `tools: {t: {undo: {tool: u}, rungs: [{go: {}}]}, u: {effects: idempotent, rungs: [{go: {}}]}}`, "name: p\nsteps:\n  - {id: a, tool: t, compensate: none}\n",
		"step a does what nothing undoes", "", []string{", compensate: none", ""}},
	{plan.NoApproval, agentTools + "  pay: {effects: unsafe, undo: {tool: t}, rungs: [{go: {}}]}\n", agentStep("t, pay", "") + "    compensate: none\n",
		"may call pay, which nothing undoes, and nobody approves it", "", []string{"    compensate: none\n", ""}},
	{plan.NoCompensation, agentTools + "  put: {effects: idempotent, rungs: [{go: {}}]}\n", agentStep("t, put", "on_limit: fail"),
		"nothing undoes what it has done with put until then", "", []string{"put: {effects", "put: {undo: {tool: t}, effects"}},
	{plan.NoCompensation, `tools: {t: {effects: idempotent, rungs: [{go: {}}]}, u: {effects: idempotent, rungs: [{go: {}}]}}`, "name: p\nsteps:\n  - {id: a, tool: t}\n  - {id: b, tool: u, on_failure: fail}\n",
		"step a has no compensation, and step b may fail the run after it", "", []string{"t: {effects", "t: {undo: {tool: u}, effects"}},
	{plan.WayWithoutEnd, `tools: {t: {effects: none, undo: {tool: u}, rungs: [{static: {output: 1}}]}, u: {effects: idempotent, timeout: 0s, rungs: [{go: {}, timeout: 0s}]}}`, "name: p\ndeadline: 1h\nsteps:\n  - {id: a, tool: t}\n",
		"the run's deadline does not count for a compensation", "", []string{"{go: {}, timeout: 0s}", "{go: {}}"}},
	{plan.UnknownLength, `tools: {t: {effects: none, rungs: [{go: {}}]}}`, "name: p\ninput: {list: []}\nsteps:\n  - {id: a, tool: t, for_each: input.list}\n",
		"step a runs once for each element of a list whose length nothing bounds", "a -> a list of any length -> 31 attempts for each element", []string{"steps:", "input_schema: {type: object, properties: {list: {type: array, maxItems: 7}}}\nsteps:"}},
	{plan.UnknownLength, `tools: {t: {effects: none, rungs: [{go: {}}]}}`, "name: p\nsteps:\n  - {id: a, tool: t}\n  - {id: b, tool: t, for_each: steps.a.output.list}\n",
		"step b", "", []string{"effects: none,", "effects: none, output_schema: {type: object, properties: {list: {type: array, maxItems: 3}}},"}},
	{plan.UnknownLength, `tools: {t: {effects: none, rungs: [{go: {}}]}}`, "name: p\nsteps:\n  - {id: a, tool: t}\n  - {id: b, tool: t, for_each: steps.a.output.list}\n",
		"step b", "", []string{"for_each: steps.a.output.list", `for_each: "steps.a.output.list[:10]"`}},
	{plan.UnknownLength, `tools: {t: {effects: none, rungs: [{go: {}}]}}`, "name: p\ninput: {list: []}\nsteps:\n  - {id: a, tool: t, for_each: \"1 > 2 ? [] : input.list[:3]\"}\n  - {id: b, tool: t, for_each: \"input.list == [] ? input.list : input.list[:3]\"}\n",
		"step a", "", []string{"1 > 2 ? [] : ", "", "input.list == [] ? input.list : ", ""}},
	{plan.UnknownLength, `tools: {t: {effects: none, rungs: [{go: {}}]}}`, "name: p\nsteps:\n  - {id: a, tool: t, for_each: \"input.n .. 50\"}\n",
		"step a", "", []string{"input.n .. 50", "1..50"}},
	{plan.NoCompensation, `tools: {t: {effects: idempotent, rungs: [{go: {}}]}}`, "name: p\nsteps:\n  - {id: a, tool: t}\n  - {id: b, tool: t, on_failure: fail}\n",
		"step a has no compensation, and step b may fail the run after it", "a is done -> b fails (on_failure: fail) -> the run fails -> a stays done", []string{"{id: a, tool: t}", "{id: a, tool: t, compensate: {tool: t}}"}},
	{plan.NoCompensation, `tools: {t: {effects: idempotent, rungs: [{go: {}}]}, u: {effects: none, approval: {deadline: 1h}, rungs: [{go: {}}]}}`, "name: p\nsteps:\n  - {id: a, tool: t}\n  - {id: b, tool: u}\n",
		"step b may fail the run after it", "a is done -> b is rejected -> the run fails -> a stays done", []string{"{deadline: 1h}", "{deadline: 1h, on_reject: skip}"}},
	{plan.NoCompensation, `tools: {t: {effects: idempotent, rungs: [{go: {}}]}, u: {rungs: [{human: {question: "Which?", deadline: 1h, on_deadline: fail}}]}}`, "name: p\nsteps:\n  - {id: a, tool: t}\n  - {id: b, tool: u}\n",
		"step b may fail the run after it", "a is done -> b is answered by nobody in time (on_deadline: fail) -> the run fails -> a stays done", []string{"on_deadline: fail", "on_deadline: escalate"}},
	{plan.NoCompensation, `tools: {t: {effects: idempotent, rungs: [{go: {}}]}}`, "name: p\ndeadline: 1h\non_deadline: fail\nsteps:\n  - {id: a, tool: t}\n  - {id: b, tool: t}\n",
		"step a has no compensation, and step b may fail the run after it", "", []string{"on_deadline: fail", "on_deadline: escalate"}},
	{plan.NeverTrue, `tools: {t: {effects: none, rungs: [{go: {}}]}}`, "name: p\nsteps:\n  - {id: a, tool: t, when: \"1 > 2\"}\n",
		"the condition of step a never holds: 1 > 2", "a -> when is false, whatever it reads -> skipped in every run", []string{"1 > 2", "1 < 2"}},
	{plan.NeverTrue, `tools: {t: {effects: none, rungs: [{go: {}}]}}`, "name: p\nsteps:\n  - {id: a, tool: t}\n  - {id: b, tool: t, when: \"steps.a.state == 'failed'\"}\n",
		"the condition of step b never holds", "", []string{"failed", "skipped"}},
	{plan.NeverTrue, `tools: {t: {effects: none, rungs: [{go: {}}]}}`, "name: p\ninput: {mode: a, dry: false}\ninput_schema: {type: object, properties: {mode: {enum: [a, b]}, dry: {type: boolean}}}\nsteps:\n  - {id: a, tool: t, when: \"input.mode == 'c' || input.dry && !input.dry\"}\n",
		"the condition of step a never holds", "", []string{"'c'", "'b'"}},
	{plan.MayBeNull, `tools: {t: {effects: none, rungs: [{go: {}}]}}`, "name: p\ninput: {x: true}\nsteps:\n  - {id: a, tool: t, when: input.x}\n  - {id: b, tool: t, with: {v: \"${ steps.a.output.v }\"}}\n",
		`the output of step "a" may be null`, "", []string{"output.v", "output?.v"}},
	{plan.NeverProduced, `tools: {t: {effects: none, output_schema: {type: object, additionalProperties: false, properties: {id: {type: string}}}, rungs: [{go: {}}]}}`, "name: p\nsteps:\n  - {id: a, tool: t}\noutput: {id: \"${ steps.a.output.ids }\"}\n",
		"the plan's output reads steps.a.output.ids, which the output_schema of t rules out", "a -> its output fits output_schema -> steps.a.output.ids is not there", []string{"output.ids", "output.id"}},
	{plan.NeverProduced, `tools: {t: {effects: none, rungs: [{go: {}}]}}`, "name: p\nsteps:\n  - {id: a, tool: t, when: \"false\"}\noutput: {id: \"${ steps.a.output?.id }\"}\n",
		"step a never runs", "a -> skipped in every run -> steps.a.output.id is null", []string{`when: "false"`, `when: "true"`}},
	{plan.DegradedUnguarded, `tools: {r: {effects: none, rungs: [{name: x, go: {}}, {name: y, cache: {max_age: 1h}}]}, t: {rungs: [{go: {}}]}}`, "name: p\nsteps:\n  - {id: a, tool: r}\n  - {id: b, tool: t, with: {v: \"${ steps.a.output.v }\"}}\n",
		"step b is unsafe and acts on the result of a, which may be degraded", "a succeeds on y -> b reads it -> acted on as if it was fresh", []string{"id: b, tool: t,", `id: b, tool: t, when: "!steps.a.degraded",`}},
	{plan.DegradedUnguarded, `tools: {r: {effects: none, rungs: [{name: x, go: {}}, {name: y, cache: {max_age: 1h}}]}, m: {effects: none, rungs: [{go: {}}]}, t: {rungs: [{go: {}}]}}`,
		"name: p\nsteps:\n  - {id: a, tool: r}\n  - {id: m, tool: m, with: {v: \"${ steps.a.output.v }\"}}\n  - {id: b, tool: t, with: {v: \"${ steps.m.output.v }\"}}\n",
		"acts on the result of a", "a succeeds on y -> m reads it -> b reads it -> acted on as if it was fresh", []string{"t: {rungs", "t: {approval: always, rungs"}},
	{plan.RungOutOfReach, `tools: {t: {rungs: [{name: x, human: {question: "Which?", deadline: 1h}}, {name: y, static: {output: 1}}]}}`, oneStep,
		"t/y is never tried", "a -> t/x -> answered, skipped or aborted -> y is never tried", []string{"deadline: 1h", "deadline: 1h, on_deadline: fallback"}},
	{plan.WaiverExpired, `tools: {t: {effects: none, rungs: [{name: x, http: {url: "http://a/1"}}, {name: y, http: {url: "http://a/2"}}]}}`, oneStep + "waivers:\n  - {code: BLY014, step: a, reason: so, until: 2027-01-14}\n",
		"the waiver of BLY014 of step a expired on 2027-01-14: so", "", []string{"2027-01-14", "2027-01-15"}},
	{plan.WaivesNothing, `tools: {t: {effects: none, rungs: [{go: {}}]}}`, oneStep + "waivers:\n  - {code: BLY014, reason: so, until: 2027-01-15}\n",
		"the plan has no finding BLY014", "", []string{"{go: {}}", `{name: x, http: {url: "http://a/1"}}, {name: y, http: {url: "http://a/2"}}`}},
	{plan.DegradedMisread, `tools: {t: {effects: none, rungs: [{go: {}}]}}`, "name: p\nsteps:\n  - {id: a, tool: t}\n  - {id: b, tool: t, when: \"!(steps.a.degraded == 5)\"}\n",
		"steps.a.degraded is true or false", "", []string{"steps.a.degraded == 5", "steps.a.degraded_by.age == 5"}},
	{plan.DeadlineTooShort, agentTools, "deadline: 3m\n" + agentStep("t", ""),
		"the tries of the steps, where each fails alike, may take 3m6s, the whole run only 3m", "g takes 3m6s -> the deadline of 3m comes first -> a person is asked whether the run gets its time again", []string{"deadline: 3m", "deadline: 4m"}},
	{plan.AgentMoney, agentTools, agentStep("t", "limits: {usd: 1}"),
		"limits.usd of step g bounds nothing: no rung of m has a price", "g -> asks its model 20 times -> no price, so each turn counts as nothing -> limits.usd is never reached", []string{"{usd: 1}", "{calls: 40}"}},
	{plan.AgentMoney, twoModels, agentStep("t", "limits: {usd: 1}"),
		"limits.usd of step g bounds nothing: without a price m/y counts as nothing", "g -> asks its model 20 times -> m/y answers -> no price, so that counts as nothing -> limits.usd is never reached", []string{"model: b}", "model: b, price: {input: 3, output: 15}}"}},
	{plan.AgentMoney, strings.Replace(twoModels, "model: {provider: anthropic, model: b}", "command: {argv: [ask]}", 1), agentStep("t", "limits: {usd: 1}"),
		"without a price m/y counts as nothing", "", []string{"command: {argv: [ask]}", "static: {output: {text: x}}"}},
	{plan.AgentMoney, `tools: {t: {effects: none, rungs: [{name: x, go: {}, cost: 1}, {name: y, model: {provider: openai, model: a, prompt: x}}]}}`, oneStep,
		"nothing bounds what t/y costs: it asks a model, and has no cost", "a -> t/y is asked -> no cost, where other rungs have one -> what it costs is in no figure", []string{"prompt: x}", "prompt: x}, cost: 0.01"}},
	{plan.ModelActs, strings.Replace(agentTools, "m: {effects: none, ", "m: {", 1), agentStep("t", ""),
		"the agent's model m is unsafe", "", []string{"m: {", "m: {effects: none, "}},
	{plan.ModelActs, strings.Replace(agentTools, "m: {", "m: {approval: always, ", 1), agentStep("t", ""),
		"the agent's model m needs approval", "", []string{"approval: always, ", ""}},
	{plan.WayWithoutEnd, agentTools + "  w: {effects: none, timeout: 0s, rungs: [{go: {}, timeout: 0s}]}\n", agentStep("t, w", "limits: {time: 1m}"),
		"nothing ends an attempt of w/primary", "g -> w/primary -> no answer -> no timeout -> nobody is asked", []string{"timeout: 0s}]", "timeout: 1s}]"}},
	{plan.SharedDependency, agentTools + `  w: {effects: none, rungs: [{name: x, http: {url: "http://a/1"}}, {name: y, http: {url: "http://a/2"}}]}`, agentStep("w", ""),
		"w/x and w/y both lean on a", "g -> a is down -> w/x fails -> w/y fails", []string{"http://a/2", "http://b/2"}},
	{plan.NoProbe, agentTools + "  pay: {approval: {deadline: 1h}, rungs: [{go: {}}]}\n", agentStep("t, pay", ""),
		"pay is unsafe", "g -> timeout -> it may have happened -> no probe -> a person finds out", []string{"pay: {", "pay: {effects: idempotent, "}},
	{plan.NoApproval, agentTools + "  pay: {effects: unsafe, rungs: [{go: {}}]}\n", agentStep("t, pay", ""),
		"the agent of step g may call pay, which nothing undoes, and nobody approves it: it is unsafe", "g -> its model calls pay -> done -> nobody is asked -> stays done", []string{"pay: {effects: unsafe,", "pay: {approval: {deadline: 1h},"}},
	{plan.NoApproval, agentTools + "  pay: {rungs: [{go: {}}]}\n", agentStep("'p*'", "") + "    compensate: {tool: t}\n",
		"which nothing undoes where the agent fails, and nobody approves it: it is unsafe (effects", "", []string{"'p*'", "t"}},
	{plan.NoCompensation, agentTools + "  put: {effects: idempotent, rungs: [{go: {}}]}\n", agentStep("t, put", "") + "  - {id: b, tool: t, on_failure: fail}\n",
		"step g has no compensation, and step b may fail the run after it", "", []string{"t, put", "t"}},
	{plan.NoCompensation, agentTools + "  put: {effects: idempotent, rungs: [{go: {}}]}\n", agentStep("t, put", "on_limit: fail") + "    compensate: {tool: put}\n",
		"the agent of step g may fail the run, and nothing undoes what it has done with put until then", "g has called put -> g reaches a limit (on_limit: fail) -> the run fails -> the call stays done", []string{"on_limit: fail", "on_limit: finish"}},
	{plan.NoCompensation, agentTools + "  put: {effects: idempotent, rungs: [{go: {}}]}\n", "name: p\nsteps:\n  - {id: a, tool: put}\n" + strings.TrimPrefix(agentStep("t", "on_limit: fail"), "name: p\nsteps:\n"),
		"step g may fail the run after it", "a is done -> g reaches a limit (on_limit: fail) -> the run fails -> a stays done", []string{"on_limit: fail", "on_limit: escalate"}},
	{plan.NoDeadline, agentTools + "  pay: {approval: always, rungs: [{go: {}}]}\n", agentStep("pay", ""),
		"the approval of pay has no deadline", "", []string{"approval: always", "approval: {deadline: 1h}"}},
	{plan.NoDeadline, agentTools, agentStep("ask_person", ""),
		"the question of ask_person/person has no deadline", "g -> the question of ask_person/person -> nobody answers -> it waits for good",
		[]string{"tools:\n", "tools:\n  " + strings.TrimPrefix(ownQuestion, "in the tools file: ") + "\n"}},
	{plan.NeverProduced, agentTools, agentStep("t", "") + "output: {v: \"${ steps.g.output.nothing }\"}\n",
		"the plan's output reads steps.g.output.nothing, which its agent never gives", "g -> its output is {text: ...} -> steps.g.output.nothing is not there", []string{"output.nothing", "output.text"}},
	{plan.NeverProduced, agentTools, agentStep("t", "output_schema: {type: object, properties: {v: {type: string}}, additionalProperties: false}") + "output: {v: \"${ steps.g.output.text }\"}\n",
		"which the output_schema of its agent rules out", "", []string{"output.text", "output.v"}},
	{plan.NeverProduced, agentTools, "name: p\nsteps:\n  - {id: a, agent: {model: m, prompt: x}}\n  - {id: g, agent: {model: m, instructions: \"${ steps.a.output.nothing }\", prompt: x}}\n",
		"the agent of step g reads steps.a.output.nothing", "", []string{"output.nothing", "output.text"}},
	{plan.UnknownLength, agentTools, agentStep("t", "output_schema: {type: object, properties: {list: {type: array}}}") + "  - {id: b, tool: t, for_each: steps.g.output.list}\n",
		"step b runs once for each element", "", []string{"{type: array}", "{type: array, maxItems: 4}"}},
	{plan.DegradedUnguarded, agentTools + "  r: {effects: none, rungs: [{name: x, go: {}}, {name: y, cache: {max_age: 1h}}]}\n  pay: {rungs: [{go: {}}]}\n", "name: p\nsteps:\n  - {id: a, tool: r}\n  - {id: g, agent: {model: m, prompt: \"${ steps.a.output }\", tools: [t, pay]}}\n",
		"the agent of step g may call pay, which is unsafe, and goes on the result of a, which may be degraded", "a succeeds on y -> g reads it -> acted on as if it was fresh", []string{"pay: {", "pay: {approval: always, "}},
	{plan.DegradedUnguarded, agentTools + "  r: {effects: none, rungs: [{name: x, go: {}}, {name: y, cache: {max_age: 1h}}]}\n  pay: {rungs: [{go: {}}]}\n", agentStep("t, r", "") + "  - {id: b, tool: pay, with: {v: \"${ steps.g.output.text }\"}}\n",
		"step b is unsafe and acts on the result of g, which may be degraded", "g succeeds on r/y -> b reads it -> acted on as if it was fresh", []string{"tool: pay, with", "tool: pay, when: \"!steps.g.degraded\", with"}},
	{plan.MayBeNull, agentTools, agentStep("t", "") + "    on_failure: skip\noutput: {v: \"${ steps.g.output.text }\"}\n",
		`the output of step "g" may be null`, "", []string{"on_failure: skip", "on_failure: fail"}},
	{plan.ToolTooLong, agentTools + "  w: {effects: none, timeout: 1h, rungs: [{go: {}}]}\n", "deadline: 30m\n" + agentStep("t, w", ""),
		"a step of w may take 1h, the whole run 30m", "", []string{"timeout: 1h", "timeout: 20m"}},
	{plan.HostChosen, agentTools + "  w: {effects: none, rungs: [{http: {url: \"http://${ params.host }/\", allow_hosts: ['*']}}]}\n", agentStep("w", ""),
		"a parameter chooses the host", "", []string{"*", "a.example.com"}},
	{plan.AttemptTooLong, `tools: {t: {effects: none, rungs: [{go: {}, timeout: 1h}]}}`, oneStep,
		"an attempt may take 1h, all of the step only 10m", "", []string{"timeout: 1h", "timeout: 5m"}},
	{plan.WaitsTooLong, `tools: {t: {effects: none, timeout: 1m, rungs: [{go: {}, retry: {max_attempts: 9, initial: 20s}}]}}`, oneStep,
		"the waits before 8 retries", "", []string{"max_attempts: 9", "max_attempts: 2"}},
	{plan.ToolTooLong, `tools: {t: {effects: none, timeout: 1h, rungs: [{go: {}}]}}`, "name: p\ndeadline: 30m\nsteps:\n  - {id: a, tool: t}\n",
		"a step of t may take 1h, the whole run 30m", "", []string{"timeout: 1h", "timeout: 20m"}},
	{plan.HostChosen, `tools: {t: {effects: none, rungs: [{http: {url: "http://${ params.host }/", allow_hosts: ["*"]}}]}}`, oneStep,
		"a parameter chooses the host", "", []string{"*", "a.example.com"}},
	{plan.OptionChosen, `tools: {t: {effects: none, rungs: [{command: {argv: [cat, "${ params.file }"]}}]}}`, oneStep,
		"is an option of cat here", "", []string{"[cat,", "[cat, --,"}},
	{plan.AnswerRefused, `tools: {t: {output_schema: {enum: [x]}, rungs: [{human: {question: "Which?", options: [x, y], deadline: 1h, on_deadline: fail}}]}}`, oneStep,
		`the answer "y" is refused`, "", []string{"[x, y]", "[x]"}},
	{plan.ModelUnsafe, `tools: {t: {effects: unsafe, rungs: [{model: {provider: openai, model: m}}]}}`, oneStep,
		"a model changes nothing in the world", "", []string{"effects: unsafe, ", ""}},
	{plan.TrustUnasked, `tools: {t: {approval: {when: "params.n > 1"}, rungs: [{go: {}}]}, w: {effects: none, trust: untrusted, rungs: [{go: {}}]}}`, oneStep,
		"t acts unasked on what an untrusted tool of this file gives", "", []string{`"params.n > 1"`, `"untrusted || (params.n > 1)"`}},
	{plan.SharedDependency, `tools: {t: {rungs: [{name: x, model: {provider: openai, model: m}}, {name: y, model: {provider: openai, model: n, base_url: "https://API.openai.com/v1"}}]}}`, oneStep,
		"api.openai.com", "", []string{"provider: openai, model: m", "provider: anthropic, model: m"}},
}

// agentTools are a model and a tool that say all that there is to say; more may be added.
const agentTools = `tools:
  m: {effects: none, rungs: [{go: {}}]}
  t: {effects: none, rungs: [{go: {}}]}
`

// twoModels are a model with a price that falls back to one without, and a tool.
const twoModels = `tools:
  m: {effects: none, rungs: [{name: x, model: {provider: openai, model: a, price: {input: 1, output: 2}}}, {name: y, model: {provider: anthropic, model: b}}]}
  t: {effects: none, rungs: [{go: {}}]}
`

// agentStep is a plan whose only step is an agent.
func agentStep(tools, more string) string {
	if more != "" {
		more = ", " + more
	}
	return "name: p\nsteps:\n  - id: g\n    agent: {model: m, prompt: x, tools: [" + tools + "]" + more + "}\n"
}

func check(t *testing.T, tools, text string) *Report {
	t.Helper()
	doc, parsed := parse(t, tools, text)
	return Check(doc, parsed, today)
}

func (r *Report) with(code string) (list []Finding) {
	for _, f := range r.Findings {
		if f.Code == code && f.Counts() {
			list = append(list, f)
		}
	}
	return list
}

// TestFindings: a plan that has a finding, and the nearest one that does not.
func TestFindings(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for n, test := range findings {
		t.Run(fmt.Sprintf("%s-%d", test.code, n), func(t *testing.T) {
			found := check(t, test.tools, test.text).with(test.code)
			if len(found) == 0 {
				t.Fatalf("no %s", test.code)
			}
			f := found[0]
			if !strings.Contains(f.Message, test.says) || test.way != "" && strings.Join(f.Witness, " -> ") != test.way {
				t.Errorf("it says %s\nway %s", f.Message, strings.Join(f.Witness, " -> "))
			}
			if f.Line == 0 || f.Col == 0 || f.File == "" || f.Fix == "" || len(f.Print) != 32 || f.Severity != severityOf(test.code) {
				t.Errorf("it is not complete: %+v", f)
			}
			tools, text := test.tools, test.text
			for i := 0; i < len(test.mended); i += 2 {
				tools, text = strings.ReplaceAll(tools, test.mended[i], test.mended[i+1]), strings.ReplaceAll(text, test.mended[i], test.mended[i+1])
			}
			if tools+text == test.tools+test.text {
				t.Fatalf("%q is not in it", test.mended)
			}
			if found := check(t, tools, text).with(test.code); len(found) > 0 {
				t.Errorf("mended, it still says %s", found[0].Message)
			}
		})
		seen[test.code] = true
	}
	for _, code := range plan.Codes {
		if !seen[code] {
			t.Errorf("%s has no test", code)
		}
	}
}

// TestEntries: the table of codes has each code once, in the order of the documents' own list.
func TestEntries(t *testing.T) {
	t.Parallel()
	var codes []string
	for _, e := range Entries {
		codes = append(codes, e.Code)
		if e.Title == "" || e.Why == "" || e.Fix == "" {
			t.Errorf("%s says too little", e.Code)
		}
	}
	if !slices.Equal(codes, plan.Codes) {
		t.Errorf("the codes are\n%v\nand waivers know\n%v", codes, plan.Codes)
	}
}

// TestReference: docs/findings.md has every code, with its anchor and what is said of it here.
func TestReference(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/findings.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	rows := 0
	for _, e := range Entries {
		row := fmt.Sprintf("| [`%s`](#%s) | %s | %s |", e.Code, strings.ToLower(e.Code), e.Severity, e.Title)
		if !strings.Contains(text, row) {
			t.Errorf("docs/findings.md lacks the row\n%s", row)
		}
		_, section, ok := strings.Cut(text, "\n### "+e.Code+"\n")
		section, _, _ = strings.Cut(section, "\n### ")
		if !ok || !strings.Contains(section, e.Why) {
			t.Errorf("docs/findings.md does not say under %s: %s", e.Code, e.Why)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| [`BLY") {
			rows++
		}
	}
	if rows != len(Entries) {
		t.Errorf("docs/findings.md has %d codes, there are %d", rows, len(Entries))
	}
}

// TestClasses: which faults a rung may report that are retried is what docs/faults.md says, which other tests hold against
// the executors.
func TestClasses(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sources, _ := strings.Cut(string(page), "\n## Where they come from\n")
	section := func(name string) string {
		_, rest, ok := strings.Cut(sources, "\n### "+name+"\n")
		if !ok {
			t.Fatalf("docs/faults.md has no section %s", name)
		}
		rest, _, _ = strings.Cut(rest, "\n### ")
		return rest
	}
	anyOf := section("Any rung")
	for _, executor := range []string{"http", "command", "nats", "go", "remote", "cache"} {
		text := section(executor) + anyOf
		if strings.Contains(text, "as an HTTP status") {
			text += section("http")
		}
		for _, class := range []string{"timeout", "rate_limited", "unavailable", "connection", "crashed", "invalid_output"} {
			says := strings.Contains(text, "`"+class+"`") || strings.Contains(section(executor), "as it says")
			if knows := slices.Contains(classesOf(executor), steps.Class(class)); knows != says {
				t.Errorf("%s: that it may report %s is %v here, and %v in docs/faults.md", executor, class, knows, says)
			}
		}
	}
}
