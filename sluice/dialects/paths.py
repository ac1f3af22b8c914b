"""The shape of a path for records: what the endpoint is, without any name, id or text that a client put there.

A client may ask any path of a host, and a sentence has no digits either. So a segment stays only when it is a word on
the list of this page, spelled as the list has it; other words are `{other}`, everything else is `{id}`.
"""

from __future__ import annotations

import re

from sluice.dialects.words import listed

_ROUTE_WORD = re.compile(r"[A-Za-z]{1,24}(?:[-_.][A-Za-z]{1,24}){0,2}")
"""Letters only. Ids hold digits, so a segment with a digit stays only when `_KNOWN` has it."""
ROUTE_WORDS = listed(
    """
    BidiAppend BidiGenerateContent Chathub GetCompletionChunk RunSSE StreamCpp StreamGenerate UploadFile
    agentAliases agents aigc applications attach bundle config ext paas ps retrieval version work
    accept account accounts activities ai ai-gateway aliases alpha analyst anonymous anthropic api api_keys app app-chat
    apply artifacts ask assistants async async-invoke attachments audio audio_isolation audit_logs auth authTokens
    authorize backend-anon backend-api bars bash batch batches batchexecute beta billing blobs bootstrap browsers
    bundles cachedContents calls cancel catalog certificates chat chat-messages chat-requirements chat.postMessage
    chat_completion chat_conversations chat_session chat_sessions chat_stream chatkit check checkpoints
    checkpoint chunks classifications classify claude claude_cli claude_code client client_secrets
    code-interpreters codebase codestral codex coding collections command commands compact compat compatibility
    complete completion completions connect connections connectors containers content content_provenance_checks
    contents contexts convai converse converse-stream conversation conversations convert_document copilot copilot-codex
    copilot_internal copy corpora cortex costs count-tokens count_tokens create createConversation credentials credits
    data datasets decisions delete deployments detokenize directline discover docs document documents download dreams
    duckchat edit edits embed embed-jobs embedContent embeddings endpoints engine engines environments error evals
    evaluate evaluations event_logging events examples execute experiments extensions extract feature_flags feedback
    fetch file file_batches file_upload fileSearchStores files fill fim fine-tunes fine_tuning flags flows flush forward
    function functions gateway gen_title generate generate_title generated_images generatedFiles generation generations
    generation_stream getCompletion gizmos global google google-ai-studio google-vertex-ai gpt gpts graders graph
    graphql groups guardrail hardware health hf-inference history hooks image images imagine import indexes inference
    ingestion init input_audio input_items input_tokens instances insights interactions interfaces invites invocations
    invoke invoke-with-bidirectional-stream invoke-with-response-stream items jobs key keys knowledgebases languages
    latest libraries limits list listen live llm llms load locations logs login m365Copilot mcp me members memories
    memory memory_stores message message_feedback messages metadata metrics ml model models moderations multipart
    native new next notifications oauth ocr onboarding openai openapi operations optimize-prompt options orders org
    organization organizations otel outputs page pages parameters parse parts pause perplexity_ask
    permissions pipeline ping plans playground plugins policies poll predict prediction predictions
    preferences prepare private process_upload_stream profile projects prompt prompts providers proxy public
    publishers pull purchases push quality query queue quota rate_limits rating read realtime reasoningEngines recommend
    recommendations recordings refer register reject remix replay report reports rerank resources responses rest result
    results resume retrieve retrieveAndGenerate retrieveAndGenerateStream retry retry_completion rollouts route router
    run runInferenceTranscript runs runtimes schema score search secrets send sentinel service_accounts
    services serving-endpoints session sessions settings share show sign skills snapshots sound-generation sources speak
    speech speech-to-text speech-to-speech spaces sse start stat stats status steps stop stop_response stream streaming
    structured studio submit subscriptions submit_tool_outputs suggest suggestions summarize summary support sync
    synthesize system system_hints tables tags tap tasks teams telemetry templates text text-to-image text-to-speech
    threads title titles token tokenize tokens tool tools traces track trainings transcribe transcript transcription
    transcription_sessions transcriptions translate translations tts tunedModels turing undo update upload upload-file
    upload_file uploaded uploads usage user users validate variations vaults vector_stores verify versions video videos
    vision voice voice_consents voices wait webhooks wham workers workflows workspaces ws xai_api.Chat zen
    """
)
"""Words of the routes of AI services, from their references and from measured requests."""
VERBS = listed(
    """
    analyze append asyncBatchEmbedContent batchEmbedContents batchEmbedText batchGenerateContent batchPredict
    bidiGenerateContent cancel classify complete completeCode computeTokens countMessageTokens countTextTokens
    countTokens delete detectIntent directPredict directRawPredict embedContent embedText explain fetchAdminControls
    fetchPredictOperation generate generateAnswer generateChat generateCode generateContent generateImages
    generateMessage generateText getIamPolicy import importFile listExperiments loadCodeAssist onboardUser
    predict predictLongRunning query rawPredict recordClientEvent recordCodeAssistMetrics retrieveUserQuota run search
    serverStreamingPredict serverStreamingDetectIntent streamDirectPredict streamDirectRawPredict streamGenerateChat
    streamGenerateCode streamGenerateContent streamQuery streamRawPredict streamingPredict transferOwnership tune
    uploadToFileSearchStore wait
    """
)
"""What stands behind a colon: methods of Google's services and of those that write theirs alike."""
_SPELLED = {word.lower(): word for word in ROUTE_WORDS}
_VERBS = {verb.lower(): verb for verb in VERBS}
_KNOWN = re.compile(
    r"v\d{1,2}(?:(?:alpha|beta|internal|p)\d{0,2}(?:alpha|beta)?\d?)?|m365copilot|agent\.v1\.AgentService|f|c"
)
_NAMED = {
    "models": "{model}",
    "tunedmodels": "{model}",
    "model": "{model}",
    "engines": "{model}",
    "deployments": "{model}",
    "projects": "{project}",
}
"""Collections whose next segment is a name of the client's choosing, and what stands for it."""
_COLLECTIONS = listed(
    """
    threads runs files uploads assistants batches sessions agents conversations responses organizations
    chat_conversations locations publishers endpoints vector_stores containers skills vaults credentials environments
    messages completions items evals jobs operations cachedcontents corpora documents users accounts applications
    knowledgebases flows aliases agentaliases runtimes prompts reasoningengines memory_stores memories
    """
)
_AFTER_COLLECTION = listed(
    """
    runs batches count_tokens compact input_tokens google anthropic openapi chat completions responses embeddings
    generations edits variations search upload events messages items files stream cancel complete parts new global
    us meta mistralai files new prepare
    """
)
"""Words that follow a collection and are no member of it."""
_LONGEST = 256


def path_template(path: str) -> str:
    """`/v1/threads/thread_abc/runs` -> `/v1/threads/{id}/runs`; no query; at most 256 characters."""
    out: list[str] = []
    before = ""
    for segment in path.partition("?")[0].split("/"):
        if not segment:
            if not out:
                out.append("")
            continue
        out.append(_shape(segment, before))
        before = segment.lower()
    return ("/".join(out) or "/")[:_LONGEST]


def _shape(segment: str, before: str) -> str:
    name, colon, said = segment.partition(":")
    suffix = f":{verb}" if colon and (verb := _VERBS.get(said.lower())) else ""
    if suffix and _KNOWN.fullmatch(name):
        return name + suffix
    if before in _NAMED:
        return _NAMED[before] + suffix
    if before in _COLLECTIONS and name.lower() not in _AFTER_COLLECTION:
        return "{id}" + suffix
    if not colon and _KNOWN.fullmatch(segment):
        return segment
    if colon and not suffix:
        return "{id}"
    spelled = _SPELLED.get(name.lower())
    return (spelled or ("{other}" if _ROUTE_WORD.fullmatch(name) else "{id}")) + suffix
