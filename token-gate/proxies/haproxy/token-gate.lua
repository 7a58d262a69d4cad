-- Asks token-gate about each request. Part of the configuration in haproxy.cfg, which says where the gate is and which fields it writes.
--
-- Everything that goes wrong here ends in an answer, or leaves txn.token_gate unset, and haproxy.cfg refuses what it is unset for.

-- What the gate may see of the client's fields, beside those set below.
local SEEN = { "authorization", "dpop", "client-cert" }
-- What the client may see of a refusal.
local SHOWN = { "www-authenticate", "retry-after", "dpop-nonce", "content-type", "cache-control" }
-- How long the gate may take, in milliseconds: it waits for keys at most 5 s. HAProxy asks a gate that does not answer four times over.
local PATIENCE = 6000

local function values(fields, name)
    local list = {}
    local given = fields[name]
    if given then
        for at = 0, #given do
            if given[at] ~= nil then table.insert(list, given[at]) end
        end
    end
    return list
end

local function refuse(txn, status, fields, body)
    local reply = txn:reply({ status = status, body = body or "" })
    for _, name in ipairs(SHOWN) do
        for _, value in ipairs(values(fields, name)) do reply:add_header(name, value) end
    end
    txn:done(reply)
end

core.register_action("token_gate", { "http-req" }, function(txn, address, names)
    local fields = txn.http:req_get_headers()
    -- Of `OPTIONS *` there is no path.
    local target = txn.sf:pathq()
    if target == "" then target = txn.sf:url() end
    local question = {
        ["x-original-method"] = { txn.sf:method() },
        ["x-original-uri"] = { target },
        ["x-original-host"] = values(fields, "host"),
    }
    for _, name in ipairs(SEEN) do
        local list = values(fields, name)
        if #list > 0 then question[name] = list end
    end

    local answer = core.httpclient():get({ url = address, headers = question, timeout = PATIENCE })
    local status = answer and answer.status or 0
    if status == 200 then
        for name in string.gmatch(names, "[^,]+") do
            local value = values(answer.headers, name)[1] or ""
            -- Whatever the client sent under this name is gone, also where there is nothing to say.
            txn.http:req_del_header(name)
            if value ~= "" then txn.http:req_set_header(name, value) end
        end
        -- For the client's next DPoP proof: haproxy.cfg puts it beside the service's answer.
        local nonce = values(answer.headers, "dpop-nonce")[1]
        if nonce then txn:set_var("txn.token_gate_nonce", nonce) end
        txn:set_var("txn.token_gate", "passed")
    elseif status == 400 or status == 401 or status == 403 or status == 429 then
        refuse(txn, status, answer.headers, answer.body)
    elseif status == 503 and answer.headers["retry-after"] then
        refuse(txn, status, answer.headers, answer.body)
    end
end, 2)
