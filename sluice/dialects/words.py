"""The protocol's own vocabulary: keys and constant values that are not text of anyone.

Both lists are closed and hold no value that could be a secret, so leaving these out of the scan loses nothing. A key or
value that is not listed is scanned. A missing entry costs microseconds; a wrong one would be a blind spot, so nothing
with digits or free form belongs here.
"""

from __future__ import annotations


def listed(text: str) -> frozenset[str]:
    """Words set apart by blanks, as a set: a list that people can read."""
    return frozenset(text.split())


KEYS = listed(
    """
    action actions additional_instructions additional_messages additionalProperties agent allOf allowed_tools
    annotations anyOf args arguments array attachments audio author authorization authorization_token background
    batch betas body bytesBase64Encoded cache_control cached_content cachedContent call_id candidateCount
    choices citations client_metadata code code_execution_result codeExecution codeExecutionResult command
    commands completion config connector_id const container content contents context context_management
    conversation conversation_id create_time created_at custom custom_id customer_id data data_sources default
    definition definitions depth description detail diff dimensions display_name displayName document documents
    edits effort enabled encoding_format encrypted_content enum env environment error event events examples
    exclusiveMaximum exclusiveMinimum executable_code executableCode extra file file_data file_id file_ids
    file_uri file_url fileData filename files fileUri filters format frequency_penalty function function_call
    function_call_output function_declarations function_response functionCall functionCallingConfig
    functionDeclarations functionResponse functions generateContentRequest generation_config generationConfig
    google_search googleSearch grammar group guidance headers height id image image_file image_url images
    include include_usage includeThoughts inline_data inlineData input input_audio input_schema input_text
    inputs inputSchema instances instructions integer is_error item items json json_schema jsonrpc keep key
    keywords kind label language lat lng local_shell location logit_bias logprobs max_completion_tokens
    max_output_tokens max_tokens maximum maxItems maxLength maxOutputTokens mcp_server_name mcp_servers
    media_type message messages meta metadata method mime_type mimeType minimum minItems minLength modalities
    mode model models n name namespace nullable number object oneOf operation operations options order output
    output_config output_text outputs parallel_tool_calls parameters params parent_id parts path pattern
    patternProperties phase plugins prediction prefix prefixItems presence_penalty previous_message_id
    previous_response_id project prompt prompt_cache_key properties provider purpose queries query question
    reasoning reasoning_content reasoning_details reasoning_effort ref refusal request requests require_approval
    required response response_format responseMimeType responseSchema result results role route rows
    safety_identifier safety_settings safetySettings schema search seed server_label server_name server_url
    service_tier session session_id signature size source sources speed status stderr stdout stop stop_sequences
    stopSequences store stream stream_options streamableHttpTransport strict string suffix summary syntax system
    system_instruction systemInstruction task taskType team temperature text thinking thinkingBudget
    thinkingConfig thought thoughtSignature thread thread_id threshold timeout title tokens tool tool_call_id
    tool_calls tool_choice tool_config tool_outputs tool_resources tool_use_id toolConfig tools top_k
    top_logprobs top_p topK topP transforms truncation type uniqueItems uri url usage user user_id user_location
    user_prompt_id uuid value values variables vector_store_ids verbosity version voice width workdir
    working_directory
    """
) | {"$schema", "$ref", "$defs", "$id"}
"""Object keys that are left out of the `#keys` part."""

WORDS = listed(
    """
    allowed any apply_patch apply_patch_call apply_patch_call_output approximate array assistant audio auto
    base64 batch boolean bytes call claude client code_execution code_interpreter compaction completed
    completion computer_call computer_call_output container_upload content continue create custom
    custom_tool_call custom_tool_call_output date date-time default deny developer direct disabled document drop
    email enabled ephemeral exec exit failed fallback false file file_search file_search_call file_url
    final_answer fine-tune flex float function function_call function_call_output grammar group hash high html
    id image image_file image_generation image_generation_call image_url in_progress incomplete inline
    input_audio input_file input_image input_text integer item_reference json json_object json_schema jsonl lark
    last lists local_shell local_shell_call local_shell_call_output low markdown max mcp mcp_approval_request
    mcp_approval_response mcp_call mcp_list_tools mcp_server mcp_tool_result mcp_tool_use mcp_toolset medium
    message minimal model model_output namespace never none null number object output_text page path_list
    pending plain preset priority priority_tier process program prompt reasoning reasoning.encrypted_content
    reasoning.text redacted_thinking refusal regex required result role scale search search_result
    server_tool_use shell shell_call shell_call_output source standard standard_only static stop string
    succeeded success summary_text system system.message system_instruction text text_delta thinking thought
    tool tool_call tool_calls tool_reference tool_result tool_search tool_use true type unknown uri url user
    user.custom_tool_result user.message user.tool_result user_input video web_fetch web_search web_search_call
    web_search_tool_result xhigh yaml
    """
)
"""String values that are left out where they stand in places of no known role (`type`, `role`, `status` ...)."""

LONGEST = max(map(len, WORDS))
